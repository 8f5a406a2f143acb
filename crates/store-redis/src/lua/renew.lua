-- renew: the bearer of the token is still at it.
--
-- ARGV[3] token. Gives {renewed, lease_until}, {lease_lost}, {key_not_found} or {arbitrated}. A lease never becomes shorter.

local record, refused = held(ARGV[3])
if not record then
    return {refused}
end
if record.phase == 'released' then
    return {'key_not_found'}
end
if record.phase ~= 'in_progress' then
    return {'lease_lost'}
end
record.lease_until = math.max(record.lease_until, now + record.lease_ms * 1000)
record.said_until = nil
keep(record)
return {'renewed', record.lease_until}
