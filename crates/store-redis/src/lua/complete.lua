-- complete: the bearer of the token says that it is done.
--
-- ARGV[3] token, ARGV[4] answer. Gives {recorded}, {duplicate} where the bearer said so before, {conflict} where it said
-- something else, {lease_lost}, {key_not_found} or {arbitrated}.

local record, refused = held(ARGV[3])
if not record then
    return {refused}
end
if record.phase == 'completed' then
    local answer = now < expires(record) and redis.call('GET', KEYS[2])
    if answer and answer ~= ARGV[4] then
        return {'conflict'}
    end
    return {'duplicate'}
end
if record.phase == 'failed' then
    return {'lease_lost'}
end
if record.phase == 'released' then
    return {'key_not_found'}
end
record.phase = 'completed'
record.ended = now
redis.call('SET', KEYS[2], ARGV[4], 'PXAT', at_ms(expires(record)))
keep(record)
return {'recorded'}
