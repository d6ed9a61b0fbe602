-- What the scripts of the job queue share. KEYS[1] is what all its keys begin with.
--   stream     one entry for each job that is not over; its identifier is the job's. It says what is to be done, so a
--              record that was evicted is made again. Entries without a job only wake those who wait.
--   record:ID  what is known of a job; those of ended jobs expire
--   index      identifiers, in the order in which jobs were added
--   ended      identifiers of ended jobs, by when they ended
--   waiting    of each job that is not yet started, its identifier
--   due:...    what was added because it fell due
local base, group = KEYS[1], 'workers'
local stream, index, ended, waiting = base .. 'stream', base .. 'index', base .. 'ended', base .. 'waiting'
local day, most_ended = 86400000, 1000

local function record(id)
  return base .. 'record:' .. id
end

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function text(number)
  return string.format('%.0f', number)
end

local function note(id)
  local ms, number = id:match('^(%d+)-(%d+)$')
  redis.call('ZADD', index, text(ms * 1000 + number), id)
  return ms
end

-- The group begins at the first entry: whatever is in the stream is still to be done.
local function in_group(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err and reply.err:find('NOGROUP', 1, true) then
    redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
    reply = redis.pcall(...)
  end
  if type(reply) == 'table' and reply.err then
    error(reply.err)
  end
  return reply
end

local function discard(id)
  redis.call('XACK', stream, group, id)
  redis.call('XDEL', stream, id)
end

local function forget_waiting(id)
  local job = redis.call('HGET', record(id), 'job')
  if job and redis.call('HGET', waiting, job) == id then
    redis.call('HDEL', waiting, job)
  end
end

local function finish(id, status, message)
  forget_waiting(id)
  redis.call('HSET', record(id), 'status', status, 'finished_at', text(now()))
  if message then
    redis.call('HSET', record(id), 'message', message)
  end
  discard(id)
  redis.call('PEXPIRE', record(id), day + 3600000)
  redis.call('ZADD', ended, text(now()), id)
  local over = redis.call('ZRANGEBYSCORE', ended, '-inf', '(' .. text(now() - day))
  local too_many = redis.call('ZCARD', ended) - most_ended
  if too_many > #over then
    over = redis.call('ZRANGE', ended, 0, too_many - 1)
  end
  for _, old in ipairs(over) do
    redis.call('UNLINK', record(old))
    redis.call('ZREM', index, old)
    redis.call('ZREM', ended, old)
  end
end

-- Returns what has come of a job. One whose entry was evicted or lost will never be done.
local function status_of(id)
  local status = redis.call('HGET', record(id), 'status')
  if (status == 'queued' or status == 'running') and #redis.call('XRANGE', stream, id, id) == 0 then
    finish(id, 'failed', 'the queue lost this job')
    return 'failed'
  end
  return status
end

-- Says whose a job is: `yours`, `cancelled` or `lost`, to the worker of one delivery.
local function standing(id, attempt, worker)
  local found = redis.call('HMGET', record(id), 'status', 'attempts', 'worker')
  if found[2] ~= attempt or found[3] ~= worker then
    return 'lost'
  end
  if found[1] == 'running' then
    return 'yours'
  end
  return found[1] == 'cancelled' and 'cancelled' or 'lost'
end

-- Each worker that ever was is a consumer of the group until somebody removes it.
local function remove_old_consumers()
  local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, group)
  for _, consumer in ipairs(consumers.err and {} or consumers) do
    local of = {}
    for field = 1, #consumer, 2 do
      of[consumer[field]] = consumer[field + 1]
    end
    if of.pending == 0 and of.idle > 3600000 then
      redis.call('XGROUP', 'DELCONSUMER', stream, group, of.name)
    end
  end
end

local function enqueue(job)
  local id = redis.call('HGET', waiting, job)
  if id and status_of(id) == 'queued' then
    return id
  end
  id = redis.call('XADD', stream, '*', 'job', job)
  redis.call('HSET', record(id), 'job', job, 'status', 'queued', 'attempts', '0', 'enqueued_at', note(id))
  redis.call('HSET', waiting, job, id)
  remove_old_consumers()
  return id
end

