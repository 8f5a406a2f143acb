-- parked: what was set aside of a run, by name.
--
-- ARGV[6] how many at most, ARGV[7] after which name. Gives {'parked', and for each: its member, the code of the refusal,
-- what is kept of it}. They are at most as many bytes as may be held of a run.

local names = {}
for _, member in ipairs(redis.call('HKEYS', KEYS[6])) do
    if member > ARGV[7] then
        names[#names + 1] = member
    end
end
table.sort(names)
local found = {'parked'}
for place = 1, math.min(#names, tonumber(ARGV[6])) do
    local member = names[place]
    local kind = string.sub(member, 1, 1)
    local key = kind == 'e' and KEYS[1] or kind == 'a' and KEYS[2] or KEYS[3]
    local kept = redis.call('HGET', key, string.sub(member, 3))
    found[#found + 1] = member
    found[#found + 1] = redis.call('HGET', KEYS[6], member)
    found[#found + 1] = kept
end
return found
