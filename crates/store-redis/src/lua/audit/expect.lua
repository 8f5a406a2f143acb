-- expect: declares what must happen, all of it or nothing.
--
-- ARGV[6] and on, five for each: id, action as 'x:DOMAIN\0ACTION', digest of the body, body, deadline in milliseconds.
-- Gives {'noted', 'recorded' or 'duplicate' for each}, {'conflict', id, digest as noted}, {'too_many'} or {'full'}.

local outcomes, fresh, count, size, last = {'noted'}, {}, 0, 0, 0
for at = 6, #ARGV, 5 do
    local member, digest = 'e:' .. ARGV[at], ARGV[at + 2]
    local known = before(member, digest)
    if not known and fresh[member] then
        known = fresh[member] == digest and 'duplicate' or 'conflict'
    end
    if known == 'conflict' then
        return {'conflict', ARGV[at], fresh[member] or redis.call('HGET', KEYS[5], member)}
    end
    if not known then
        fresh[member] = digest
        count, size = count + 1, size + #ARGV[at + 3]
    end
    outcomes[#outcomes + 1] = known or 'recorded'
end
if count == 0 then
    return outcomes
end
if expectations + count > tonumber(ARGV[3]) then
    return {'too_many'}
end
if bytes + size > tonumber(ARGV[5]) then
    return {'full'}
end
for at = 6, #ARGV, 5 do
    if outcomes[2 + (at - 6) / 5] == 'recorded' then
        append(KEYS[1], 'e:' .. ARGV[at], ARGV[at + 2], ARGV[at + 3])
        redis.call('HSET', KEYS[5], ARGV[at + 1], '1')
        last = math.max(last, now + tonumber(ARGV[at + 4]) * 1000)
    end
end
expectations = expectations + count
prolong(KEYS[1], last)
return outcomes
