-- Gives a worker the next job. ARGV: worker, lease in milliseconds.
-- Returns identifier, job and attempt, or else after how many milliseconds the next lease ends and the last entry so far.
local worker, lease = ARGV[1], tonumber(ARGV[2])

-- Returns the delivery of an entry that is this worker's now, or nothing if it is not to be done.
local function begin(id, fields)
  local job = fields[1] == 'job' and fields[2]
  local status = redis.call('HGET', record(id), 'status')
  if not job or (status and status ~= 'queued' and status ~= 'running') then
    discard(id)
    return nil
  end
  if not status then
    redis.call('HSET', record(id), 'job', job, 'enqueued_at', note(id))
  end
  local attempt = redis.call('HINCRBY', record(id), 'attempts', 1)
  redis.call('HSET', record(id), 'status', 'running', 'worker', worker, 'lease', text(lease), 'started_at', text(now()))
  redis.call('HDEL', record(id), 'progress')
  forget_waiting(id)
  return { id, job, text(attempt) }
end

-- Those that were given back, and those whose worker fell silent.
local next_end = lease
for _, pending in ipairs(in_group('XPENDING', stream, group, '-', '+', 1000)) do
  local id, idle = pending[1], pending[3]
  local left = (tonumber(redis.call('HGET', record(id), 'lease')) or lease) - idle
  if left > 0 then
    next_end = math.min(next_end, left)
  else
    local claimed = redis.call('XCLAIM', stream, group, worker, 0, id)[1]
    if claimed then
      local delivery = begin(id, claimed[2])
      if delivery then
        return delivery
      end
    else
      redis.call('XACK', stream, group, id)
    end
  end
end

while true do
  local read = in_group('XREADGROUP', 'GROUP', group, worker, 'COUNT', 1, 'STREAMS', stream, '>')
  if not read then
    break
  end
  local entry = read[1][2][1]
  local delivery = begin(entry[1], entry[2])
  if delivery then
    return delivery
  end
end

local info, last = redis.call('XINFO', 'STREAM', stream), '0-0'
for field = 1, #info, 2 do
  if info[field] == 'last-generated-id' then
    last = info[field + 1]
  end
end
return { text(next_end), last }
