#!lua name=wall

-- The wall's writes, each atomic. KEYS of every function, in this order:
--   wall      hash    seq, the number of writes; timestamp, that of the newest message
--   messages  hash    id to message, as JSON
--   timeline  zset    ids by timestamp
--   pending   zset    ids of those that may be claimed, by priority, then timestamp
--   leases    zset    ids of those that are held, by the end of their lease

local PRIORITY_STEP = 10000000000000 -- above any timestamp; 99 of it still is an exact double

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function load(keys, id)
  local json = redis.call('HGET', keys[2], id)
  return json and cjson.decode(json)
end

local function save(keys, message)
  local json = cjson.encode(message)
  redis.call('HSET', keys[2], message.id, json)
  return json
end

local function offer(keys, message)
  redis.call('ZADD', keys[4], message.botParams.priority * PRIORITY_STEP + message.timestamp, message.id)
end

local function prune(keys, retention)
  local old = redis.call('ZRANGE', keys[3], 0, -(retention + 1))
  if #old > 0 then
    redis.call('ZREM', keys[3], unpack(old))
    redis.call('HDEL', keys[2], unpack(old))
    redis.call('ZREM', keys[4], unpack(old))
    redis.call('ZREM', keys[5], unpack(old))
  end
end

local function add(keys, message, retention)
  local last = tonumber(redis.call('HGET', keys[1], 'timestamp') or 0)
  message.timestamp = math.max(now(), last + 1)
  redis.call('HSET', keys[1], 'timestamp', message.timestamp)
  redis.call('ZADD', keys[3], message.timestamp, message.id)
  if message.botParams.status == 'pending' then
    offer(keys, message)
  end
  save(keys, message)
  prune(keys, retention)
end

local function written(keys)
  redis.call('HINCRBY', keys[1], 'seq', 1)
end

-- post(message, retention): its timestamp.
local function post(keys, args)
  local message = cjson.decode(args[1])
  add(keys, message, tonumber(args[2]))
  written(keys)
  return message.timestamp
end

local function release(keys, time)
  local ended = redis.call('ZRANGE', keys[5], '-inf', time, 'BYSCORE')
  for _, id in ipairs(ended) do
    local message = load(keys, id)
    message.botParams.status = 'pending'
    save(keys, message)
    offer(keys, message)
    redis.call('ZREM', keys[5], id)
  end
  return #ended
end

-- claim(worker, limit, lease in ms): the messages that it holds now, most urgent first.
local function claim(keys, args)
  local time = now()
  local released = release(keys, time)
  local claimed = {}
  for _, id in ipairs(redis.call('ZRANGE', keys[4], 0, args[2] - 1)) do
    local message = load(keys, id)
    local params = message.botParams
    params.status = 'processing'
    params.claimedBy = args[1]
    params.claimedAt = time
    params.attempt = params.attempt + 1
    redis.call('ZREM', keys[4], id)
    redis.call('ZADD', keys[5], time + args[3], id)
    claimed[#claimed + 1] = save(keys, message)
  end
  if released + #claimed > 0 then
    written(keys)
  end
  return claimed
end

-- complete(id, worker, attempt, reply, retention): {'ok', timestamp of the reply}, {'unknown'} or {'conflict'}.
local function complete(keys, args)
  local message = load(keys, args[1])
  if not message then
    return {'unknown'}
  end
  local time = now()
  local params = message.botParams
  local ends = tonumber(redis.call('ZSCORE', keys[5], args[1]) or 0)
  if params.claimedBy ~= args[2] or params.attempt ~= tonumber(args[3]) or ends <= time then
    return {'conflict'}
  end
  params.status = 'complete'
  params.completedAt = time
  redis.call('ZREM', keys[5], args[1])
  save(keys, message)
  local reply = cjson.decode(args[4])
  reply.botParams.entity = params.entity
  reply.botParams.priority = params.priority
  reply.botParams.completedAt = time
  add(keys, reply, tonumber(args[5]))
  written(keys)
  return {'ok', reply.timestamp}
end

redis.register_function('post', post)
redis.register_function('claim', claim)
redis.register_function('complete', complete)
