-- A post of 300 characters, addressed to an entity.
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = '{"text":"' .. string.rep("Why is space black? ", 15)
  .. '","username":"Human","color":"169080199","botParams":{"entity":"eliza"}}'
