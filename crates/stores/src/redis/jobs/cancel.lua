-- ARGV: identifier. Returns whether there was a job to cancel.
local status = status_of(ARGV[1])
if status == 'queued' or status == 'running' then
  finish(ARGV[1], 'cancelled')
  return 1
end
return 0
