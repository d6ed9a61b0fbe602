-- ARGV: job, when it falls due, milliseconds for which that is remembered. Returns the identifier, or nothing.
if redis.call('SET', base .. 'due:' .. ARGV[2] .. ':' .. ARGV[1], '1', 'NX', 'PX', ARGV[3]) then
  return enqueue(ARGV[1])
end
return false
