-- ARGV: identifier. Returns its record, or nothing.
status_of(ARGV[1])
return redis.call('HGETALL', record(ARGV[1]))
