-- check: may the caller do what the fingerprint stands for?
--
-- ARGV[3] fingerprint, ARGV[4] token to give, ARGV[5] lease in ms, ARGV[6] ttl in s, ARGV[7] run or ''.
-- Gives {word, fingerprint, run, attempt} and then: new {lease_until}; duplicate {answer or nil}; failed {error or nil};
-- in_progress {lease_until, ms left}; conflict nothing more. {arbitrated} alone where the key is the arbiter's to give out,
-- or the answer is.
-- The token of a call is its own: a call that is sent again after its answer got lost is given what it was given.

local record = stored()

local function give(before)
    if before and before.arbiter then
        return {'arbitrated'}
    end
    local fresh = {
        phase = 'in_progress', fingerprint = ARGV[3], token = ARGV[4], run = ARGV[7], attempt = 1,
        lease_ms = tonumber(ARGV[5]), ttl_s = tonumber(ARGV[6]), created = now, claimed = now,
    }
    if before then
        fresh.attempt = before.attempt + 1
        fresh.created = before.created
        if fresh.run == '' and before.phase == 'in_progress' then
            fresh.run = before.run
        end
    end
    fresh.lease_until = now + fresh.lease_ms * 1000
    keep(fresh)
    return {'new', fresh.fingerprint, fresh.run, fresh.attempt, fresh.lease_until}
end

if not record or record.phase == 'released' then
    return give(record)
end
if kept_by_arbiter(record, ARGV[3]) then
    return {'arbitrated'}
end
local answer = told(record, ARGV[3])
if answer[1] == 'in_progress' and record.token == ARGV[4] then
    return {'new', record.fingerprint, record.run, record.attempt, record.lease_until}
end
if answer[1] == 'over' then
    return give(record)
end
return answer
