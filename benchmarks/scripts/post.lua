-- Posts of 300 characters, addressed to an entity.
-- With the argument "keyed" each carries an Idempotency-Key of its own, as the page's posts do.

wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = '{"text":"' .. string.rep("Why is space black? ", 15)
  .. '","username":"Human","color":"169080199","botParams":{"entity":"eliza"}}'

local MARK = "00000000-0000-4000-8000-000000000000"

function init(args)
  if args[1] ~= "keyed" then return end
  wrk.headers["idempotency-key"] = MARK
  local whole = wrk.format()
  local first, last = string.find(whole, MARK, 1, true)
  local head, tail = string.sub(whole, 1, first - 1), string.sub(whole, last + 1)
  math.randomseed(os.time())
  local run = string.format("%08x-%04x-4000-8000-", os.time(), math.random(0, 65535))
  local number = 0
  -- Defined only here: without `request`, wrk sends one fixed text and calls no Lua.
  function request()
    number = number + 1
    return head .. run .. string.format("%012x", number) .. tail
  end
end
