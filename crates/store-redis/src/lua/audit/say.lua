-- say: sets by hand where an action stands, or says that the run is no longer watched.
--
-- ARGV[6] 's' for a status, 'c' for a clearing; ARGV[7] a token of the call's own, so that a call that is sent again after
-- its answer got lost says nothing twice; ARGV[8] body; of a status, ARGV[9] the action as 'x:DOMAIN\0ACTION'.
-- Gives {'noted', 'recorded' or 'duplicate'}, {'unknown'} where nothing is expected of the action, {'too_many'} or {'full'}.

local member = ARGV[6] .. ':' .. ARGV[7]
if before(member, '') then
    return {'noted', 'duplicate'}
end
if ARGV[9] and redis.call('HEXISTS', KEYS[5], ARGV[9]) == 0 then
    return {'unknown'}
end
if words + 1 > tonumber(ARGV[4]) then
    return {'too_many'}
end
if bytes + #ARGV[8] > tonumber(ARGV[5]) then
    return {'full'}
end
append(KEYS[3], member, '', ARGV[8])
words = words + 1
prolong(KEYS[3])
return {'noted', 'recorded'}
