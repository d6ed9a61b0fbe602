-- Puts off the end of KEYS[1] to ARGV[2] milliseconds from now if its value is ARGV[1]; returns whether it was.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
