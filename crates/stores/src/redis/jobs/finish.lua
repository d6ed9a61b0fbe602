-- ARGV: identifier, attempt, worker, status, message or nothing.
if standing(ARGV[1], ARGV[2], ARGV[3]) == 'yours' then
  finish(ARGV[1], ARGV[4], ARGV[5])
end
