-- alone: all that is kept of a key that Redis alone decided about. Writes nothing.
--
-- Gives {none} where nothing is kept, or an arbiter decided about it; else {phase, fingerprint, run, attempt, token, lease in
-- ms, ttl in s, now, created, claimed, lease_until, ended or nil, answer or nil, error or nil}.

local record = stored()
if not record or record.arbiter then
    return {'none'}
end
return {
    record.phase, record.fingerprint, record.run, record.attempt, record.token, record.lease_ms, record.ttl_s, now,
    record.created, record.claimed, record.lease_until, record.ended or false,
    record.phase == 'completed' and redis.call('GET', KEYS[2]), record.error or false,
}
