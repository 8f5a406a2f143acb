-- recall: what is remembered of a key that an arbiter decided about.
--
-- ARGV[3] fingerprint. Gives what check gives but new, or {unknown} where the arbiter is to be asked: nothing is remembered,
-- or it does not stand in the way.

local record = stored()
if not record or record.phase == 'released' then
    return {'unknown'}
end
local answer = told(record, ARGV[3])
if answer[1] == 'over' then
    return {'unknown'}
end
return answer
