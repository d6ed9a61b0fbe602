-- Puts a member into a group. KEYS: values, order. ARGV: member, value, time to live in milliseconds, most members.
local values, order = KEYS[1], KEYS[2]
if redis.call('HLEN', values) ~= redis.call('ZCARD', order) then
  -- One of the two was evicted.
  redis.call('UNLINK', values, order)
end
local last = redis.call('ZREVRANGE', order, 0, 0, 'WITHSCORES')[2] or '0'
redis.call('HSET', values, ARGV[1], ARGV[2])
redis.call('ZADD', order, tonumber(last) + 1, ARGV[1])
local too_many = redis.call('ZCARD', order) - tonumber(ARGV[4])
if too_many > 0 then
  for _, member in ipairs(redis.call('ZRANGE', order, 0, too_many - 1)) do
    redis.call('HDEL', values, member)
  end
  redis.call('ZREMRANGEBYRANK', order, 0, too_many - 1)
end
redis.call('PEXPIRE', values, ARGV[3])
redis.call('PEXPIRE', order, ARGV[3])
