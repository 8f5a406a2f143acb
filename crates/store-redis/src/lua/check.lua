-- check: may the caller do what the fingerprint stands for?
--
-- ARGV[3] for how many milliseconds a key is remembered that is given out now, ARGV[4] the record that is then kept, from its
-- phase on, with a space before it: fingerprint, token to give, attempt 1, lease in ms, ttl in s and run or ''.
-- Gives {'fresh', seconds, microseconds}, which is new at that time, of a key of which nothing is kept (new.lua). Else {word,
-- fingerprint, run, attempt} and then: new {lease_until}; duplicate {answer or nil}; failed {error or nil}; in_progress
-- {lease_until, ms left}; conflict nothing more. {arbitrated} alone where the key is the arbiter's to give out, or the answer is.
-- The token of a call is its own: a call that is sent again after its answer got lost is given what it was given.

if not kept then
    return first
end
local asked, token, lease_ms, ttl_s, run = string.match(ARGV[4], '^ in_progress (%S+) (%S+) 1 (%d+) (%d+) (%S*) ')
local record = stored()

local function give(before)
    if before and before.arbiter then
        return {'arbitrated'}
    end
    local fresh = {
        phase = 'in_progress', fingerprint = asked, token = token, run = run, attempt = 1, lease_ms = tonumber(lease_ms),
        ttl_s = tonumber(ttl_s), created = now, claimed = now,
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
if kept_by_arbiter(record, asked) then
    return {'arbitrated'}
end
local answer = told(record, asked)
if answer[1] == 'in_progress' and record.token == token then
    return {'new', record.fingerprint, record.run, record.attempt, record.lease_until}
end
if answer[1] == 'over' then
    return give(record)
end
return answer
