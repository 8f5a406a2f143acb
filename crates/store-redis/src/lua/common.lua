-- What every script begins with. KEYS[1] holds what is kept of a key, packed; KEYS[2] its answer, which goes when its ttl is
-- over. Both have one hash tag. Times are microseconds by this server's clock; ARGV[1] (0 but in tests) shifts it, in
-- milliseconds, ARGV[2] is how many seconds a key is remembered beyond its ttl.
--
-- A script reads and decides first and writes last, the record after the answer: a script that was refused has written
-- nothing, and one that ends between the two has left an answer that no record names.

local shift_us = tonumber(ARGV[1]) * 1000
local remember_us = tonumber(ARGV[2]) * 1000000
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2]) + shift_us

local function expires(record)
    return (record.ended or record.lease_until) + record.ttl_s * 1000000
end

-- What is kept; nil where nothing is, or it is forgotten.
local function stored()
    local packed = redis.call('GET', KEYS[1])
    if not packed then
        return nil
    end
    local record = cmsgpack.unpack(packed)
    if record.v ~= 1 then
        return error('the record has a newer form')
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
    record.is_shorter = nil
    record.v = 1
    local forgotten = until_us or expires(record) + remember_us
    redis.call('SET', KEYS[1], cmsgpack.pack(record), 'PXAT', at_ms(forgotten))
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
