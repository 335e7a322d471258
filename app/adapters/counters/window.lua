-- KEYS[1]: one person's window, a sorted set of ids scored by the time they were taken; a member
-- that takes more than one place ends in the number of places (batch_…:40).
-- ARGV[1]: JSON with window and grace (microseconds), and any of take, give_back, known; limit: the
-- most places that `take` may fill; items: how many it takes, if members can take more than one.
-- Returns {1 if `take` has its places else 0, places taken before}.
local asked = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local first = now - asked.window
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', first)

if asked.give_back then
  redis.call('ZREM', KEYS[1], asked.give_back)
end

if asked.known then
  local is_known = {}
  for _, run in ipairs(asked.known) do
    is_known[run[1]] = true
    if run[2] < asked.window then
      redis.call('ZADD', KEYS[1], now - run[2], run[1])
    end
  end
  local members = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
  for place = 1, #members, 2 do
    local age = now - tonumber(members[place + 1])
    if not is_known[members[place]] and (age >= asked.grace or age < 0) then
      redis.call('ZREM', KEYS[1], members[place])
    end
  end
end

local used, taken, items = redis.call('ZCARD', KEYS[1]), 0, asked.items or 1
if asked.items then
  used = 0
  for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    used = used + (tonumber(string.match(member, ':(%d+)$')) or 1)
  end
end
if asked.take then
  if redis.call('ZSCORE', KEYS[1], asked.take) then
    used, taken = used - items, 1
  elseif used + items <= asked.limit then
    redis.call('ZADD', KEYS[1], now, asked.take)
    taken = 1
  end
end
redis.call('PEXPIRE', KEYS[1], math.ceil(asked.window / 1000))
return {taken, used}
