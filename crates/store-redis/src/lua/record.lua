-- What is kept of a key, read and written: '2 SECONDS MICROSECONDS PHASE FINGERPRINT TOKEN ATTEMPT LEASE_MS TTL_S RUN CLAIMED
-- LEASE_UNTIL ENDED ARBITER RULED SAID_UNTIL', and where there is an error a line feed and the error. The first two are when the
-- key was created. What is missing is empty: CLAIMED is then that time, too, and LEASE_UNTIL is LEASE_MS after it.

local shift_us = tonumber(ARGV[1]) * 1000
local remember_us = tonumber(ARGV[2]) * 1000000
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local kept = redis.call('GET', KEYS[1])

local FORM = '^2 (%d+) (%d+)' .. string.rep(' (%S*)', 13) .. '()'

local function expires(record)
    return (record.ended or record.lease_until) + record.ttl_s * 1000000
end

-- What is kept; nil where nothing is, or it is forgotten.
local function stored()
    if not kept then
        return nil
    end
    local s, us, phase, fingerprint, token, attempt, lease_ms, ttl_s, run, claimed, lease_until, ended, arbiter, ruled,
        said_until, ends = string.match(kept, FORM)
    if not s then
        return error('the record has another form')
    end
    local record = {
        phase = phase, fingerprint = fingerprint, token = token, attempt = tonumber(attempt), lease_ms = tonumber(lease_ms),
        ttl_s = tonumber(ttl_s), run = run, created = tonumber(s) * 1000000 + tonumber(us), ended = tonumber(ended),
        ruled = tonumber(ruled), said_until = tonumber(said_until),
    }
    record.claimed = tonumber(claimed) or record.created
    record.lease_until = tonumber(lease_until) or record.claimed + record.lease_ms * 1000
    record.arbiter = arbiter ~= '' and arbiter or nil
    if ends <= #kept then
        record.error = string.sub(kept, ends + 1)
    end
    if now >= expires(record) + remember_us then
        return nil
    end
    -- A clock that was set back does not lengthen a lease: whoever tells of it keeps its new end.
    local until_max = now + record.lease_ms * 1000
    if record.phase == 'in_progress' and record.lease_until > until_max then
        record.lease_until, record.said_until, record.is_shorter = until_max, nil, true
    end
    return record
end

-- Milliseconds of this server's own clock, rounded up.
local function at_ms(us)
    return string.format('%.0f', math.ceil((us - shift_us) / 1000))
end

local function keep(record, until_us)
    local function whole(number)
        return number and string.format('%.0f', number) or ''
    end
    record.is_shorter = nil
    local forgotten = until_us or expires(record) + remember_us
    local text = table.concat({
        '2', whole(math.floor(record.created / 1000000)), whole(record.created % 1000000), record.phase, record.fingerprint,
        record.token, whole(record.attempt), whole(record.lease_ms), whole(record.ttl_s), record.run, whole(record.claimed),
        whole(record.lease_until), whole(record.ended), record.arbiter or '', whole(record.ruled), whole(record.said_until),
    }, ' ')
    if record.error then
        text = text .. '\n' .. record.error
    end
    redis.call('SET', KEYS[1], text, 'PXAT', at_ms(forgotten))
end

-- The record that the token's bearer may act on, or the word that says why there is none. What an arbiter decided about is
-- the arbiter's to change.
local function held(token)
    local record = stored()
    if record and record.arbiter then
        return nil, 'arbitrated'
    end
    if record and record.token == token then
        return record, nil
    end
    if record and record.phase ~= 'released' then
        return nil, 'lease_lost'
    end
    return nil, 'key_not_found'
end

-- Whether the answer to `fingerprint` is the arbiter's to give: what belongs to a run is kept where it is erased with it.
local function kept_by_arbiter(record, fingerprint)
    local has_ended = record.phase == 'completed' or record.phase == 'failed'
    return record.arbiter and has_ended and record.run ~= '' and record.fingerprint == fingerprint
end

-- What a check with `fingerprint` is told of a record that is not released: {word, fingerprint, run, attempt} and then:
-- duplicate {answer or nil}; failed {error or nil}; in_progress {lease_until, ms left}; conflict nothing more. {over} where
-- the lease is.
local function told(record, fingerprint)
    local answer = {'conflict', record.fingerprint, record.run, record.attempt}
    if record.fingerprint ~= fingerprint then
        return answer
    end
    if record.phase == 'completed' then
        answer[1] = 'duplicate'
        answer[5] = now < expires(record) and redis.call('GET', KEYS[2])
        return answer
    end
    if record.phase == 'failed' then
        answer[1] = 'failed'
        answer[5] = now < expires(record) and record.error
        return answer
    end
    if now >= record.lease_until then
        return {'over'}
    end
    if record.is_shorter then
        keep(record)
    end
    answer[1] = 'in_progress'
    answer[5] = record.said_until or record.lease_until
    answer[6] = math.ceil((record.lease_until - now) / 1000)
    return answer
end
