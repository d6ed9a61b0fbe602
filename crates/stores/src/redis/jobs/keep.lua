-- ARGV: identifier, attempt, worker, progress or nothing.
local stands = standing(ARGV[1], ARGV[2], ARGV[3])
if stands == 'yours' then
  -- Claiming what one has begins the lease anew.
  in_group('XCLAIM', stream, group, ARGV[3], 0, ARGV[1], 'JUSTID')
  if ARGV[4] then
    redis.call('HSET', record(ARGV[1]), 'progress', ARGV[4])
  end
end
return stands
