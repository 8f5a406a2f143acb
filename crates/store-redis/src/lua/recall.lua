-- recall: what is remembered of a key that an arbiter decided about.
--
-- ARGV[3] fingerprint. Gives what check gives but new, or {ended} where the arbiter alone has the answer (it is a run's, and
-- goes with it), or {alone} where Redis alone decided about it, or {unknown} where the arbiter is to be asked: nothing is
-- remembered, or it does not stand in the way. Nor does another request's claim that the arbiter gave out: that it was released meanwhile
-- may not have been told. Nor does a lease that a clock which was set back would lengthen.

local record = stored()
if record and not record.arbiter then
    return {'alone'}
end
if not record or record.phase == 'released' then
    return {'unknown'}
end
if record.phase == 'in_progress' and (record.is_shorter or record.fingerprint ~= ARGV[3]) then
    return {'unknown'}
end
if kept_by_arbiter(record, ARGV[3]) then
    return {'ended'}
end
local answer = told(record, ARGV[3])
if answer[1] == 'over' then
    return {'unknown'}
end
return answer
