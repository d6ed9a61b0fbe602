-- Forgets a member of a group. KEYS: values, order. ARGV: member.
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
