-- Visitors and bots together: posts, claims of what is pending, completions with a reply.
-- Each claimed message is completed once; a round trip is done when its completion is acknowledged.
-- With the argument "work" there are bots only, on what is pending already.

local BATCH = 20
local json = { ["Content-Type"] = "application/json" }
local text = string.rep("x", 300)
local post, claim
local only_work = false

function init(args)
  only_work = args[1] == "work"
  -- wrk knows the Host from here on.
  post = wrk.format("POST", "/api/comments", json,
    '{"text":"' .. text .. '","username":"Bench","color":"169080199","botParams":{"entity":"bench"}}')
  claim = wrk.format("POST", "/api/queue/claim", json, '{"workerId":"bench","limit":' .. BATCH .. '}')
end

local held, first, last = {}, 1, 0
local posted = 0
local threads = {}
completed, refused = 0, 0

function setup(thread)
  table.insert(threads, thread)
end

function request()
  if first <= last then
    local message = held[first]
    held[first] = nil
    first = first + 1
    return wrk.format("POST", "/api/queue/complete", json, string.format(
      '{"messageId":"%s","workerId":"bench","attempt":%s,"reply":{"text":"%s","username":"Bench"}}',
      message.id, message.attempt, text))
  end
  if only_work then
    return claim
  end
  if posted >= BATCH then
    posted = posted - BATCH
    return claim
  end
  return post
end

function response(status, headers, body)
  if status ~= 200 then
    refused = refused + 1
  elseif string.find(body, '"messages":[', 1, true) then
    for id, rest in string.gmatch(body, '"id":"(%w+)","timestamp"(.-"attempt":%d+)') do
      last = last + 1
      held[last] = { id = id, attempt = string.match(rest, '"attempt":(%d+)') }
    end
  elseif string.find(body, '"status":"success"', 1, true) then
    posted = posted + 1
  else
    completed = completed + 1
  end
end

function done(summary, latency, requests)
  local all, wrong = 0, 0
  for _, thread in ipairs(threads) do
    all = all + thread:get("completed")
    wrong = wrong + thread:get("refused")
  end
  io.write(string.format("round trips: %d refused: %d\n", all, wrong))
end
