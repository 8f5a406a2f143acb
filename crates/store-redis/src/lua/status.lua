-- status: how a key stands. Writes nothing.
--
-- Gives {unknown}, or {phase, fingerprint, run, attempt, created, claimed, lease_until, ended or nil, expires, 1 where the
-- ttl is over else 0, error or nil}.

local record = stored()
if not record or record.phase == 'released' then
    return {'unknown'}
end
local over = record.ended ~= nil and now >= expires(record)
return {
    record.phase, record.fingerprint, record.run, record.attempt, record.created, record.claimed, record.lease_until,
    record.ended or false, expires(record), over and 1 or 0, (not over) and record.error or false,
}
