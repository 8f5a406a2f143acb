-- held: the first of what is held of a run, in the order in which it was received.
--
-- ARGV[6] how many at most. Gives {'held', the time now in microseconds, and for each: its member, what is kept of it}.

local found = {'held', whole(now)}
for _, member in ipairs(redis.call('ZRANGE', KEYS[4], 0, tonumber(ARGV[6]) - 1)) do
    local kind = string.sub(member, 1, 1)
    local key = kind == 'e' and KEYS[1] or kind == 'a' and KEYS[2] or KEYS[3]
    found[#found + 1] = member
    found[#found + 1] = redis.call('HGET', key, string.sub(member, 3))
end
return found
