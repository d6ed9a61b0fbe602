-- Takes one try of KEYS[1]. ARGV: now, the time over which the bucket empties, what one try takes of it; microseconds.
-- Returns 0 if the try is allowed, else how long to wait for the next.
local now, per, one_try = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local empty_at = math.max(now, tonumber(redis.call('GET', KEYS[1])) or now)
local next = empty_at + one_try
local too_much = next - now - per
if too_much > 0 then
  return too_much
end
redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.max(1, math.ceil((next - now) / 1000)))
return 0
