-- ARGV: how many at most. Returns identifiers and records, those added last first.
local most, from, found = tonumber(ARGV[1]), 0, {}
while #found < most do
  local ids = redis.call('ZREVRANGE', index, from, from + 99)
  for _, id in ipairs(ids) do
    if not status_of(id) then
      redis.call('ZREM', index, id)
    elseif #found < most then
      found[#found + 1] = { id, redis.call('HGETALL', record(id)) }
    end
  end
  -- Those that were removed make room for others: looking a second time at some is cheaper than to miss any.
  from = #found
  if #ids < 100 then
    break
  end
end
return found
