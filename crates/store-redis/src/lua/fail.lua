-- fail: the bearer of the token says that it failed.
--
-- ARGV[3] token, ARGV[4] error, ARGV[5] 1 where it may be tried again, else 0. Gives {recorded}, {duplicate} where the
-- bearer said so before, {lease_lost}, {key_not_found} or {arbitrated}.

local record, refused = held(ARGV[3])
if not record then
    return {refused}
end
local phase = ARGV[5] == '1' and 'released' or 'failed'
if record.phase == phase then
    return {'duplicate'}
end
if record.phase == 'released' then
    return {'key_not_found'}
end
if record.phase ~= 'in_progress' then
    return {'lease_lost'}
end
record.phase = phase
record.ended = now
if phase == 'failed' then
    record.error = ARGV[4]
end
keep(record)
return {'recorded'}
