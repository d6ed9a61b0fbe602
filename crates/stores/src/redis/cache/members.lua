-- Returns members and values, those put last first. KEYS: values, order.
local found = {}
for _, member in ipairs(redis.call('ZREVRANGE', KEYS[2], 0, -1)) do
  local value = redis.call('HGET', KEYS[1], member)
  if value then
    found[#found + 1] = { member, value }
  end
end
return found
