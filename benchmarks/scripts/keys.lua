-- Posts of 300 characters to several objects in turn: `NUMBER PATH`.
-- The object is that of an entity ("key-1", …); one whose name the path has in place of %s is named there too.

wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
local text = string.rep("Why is space black? ", 15)
local posts, number = {}, 0

function init(args)
  for index = 1, tonumber(args[1]) do
    local name = "key-" .. index
    local body = '{"text":"' .. text .. '","username":"Human","color":"169080199","botParams":{"entity":"' .. name .. '"}}'
    posts[index] = wrk.format(nil, string.gsub(args[2], "%%s", name), nil, body)
  end
end

function request()
  number = number % #posts + 1
  return posts[number]
end
