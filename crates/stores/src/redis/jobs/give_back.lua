-- ARGV: identifier, attempt, worker.
local id = ARGV[1]
if standing(id, ARGV[2], ARGV[3]) == 'yours' then
  -- It stays the worker's in the stream, with a lease that is over.
  redis.call('HSET', record(id), 'status', 'queued', 'lease', '0')
  redis.call('HSETNX', waiting, redis.call('HGET', record(id), 'job'), id)
  redis.call('XADD', stream, '*', 'wake', '')
end
