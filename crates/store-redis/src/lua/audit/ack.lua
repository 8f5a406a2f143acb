-- ack: says that something was done, failed, or was undone.
--
-- ARGV[6] id, ARGV[7] digest of the body, ARGV[8] body.
-- Gives {'noted', 'recorded' or 'duplicate'}, {'conflict', id, digest as noted}, {'too_many'} or {'full'}.

local member = 'a:' .. ARGV[6]
local known, digest = before(member, ARGV[7])
if known == 'conflict' then
    return {'conflict', ARGV[6], digest}
end
if known then
    return {'noted', known}
end
if words + 1 > tonumber(ARGV[4]) then
    return {'too_many'}
end
if bytes + #ARGV[8] > tonumber(ARGV[5]) then
    return {'full'}
end
append(KEYS[2], member, ARGV[7], ARGV[8])
words = words + 1
prolong(KEYS[2])
return {'noted', 'recorded'}
