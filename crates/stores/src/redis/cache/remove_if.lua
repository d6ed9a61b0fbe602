-- Forgets KEYS[1] if its value is ARGV[1]; returns whether it was.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('UNLINK', KEYS[1])
end
return 0
