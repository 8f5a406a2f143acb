-- What every script over one run's facts begins with. Seven keys of one hash tag: KEYS[1] expectations and KEYS[2]
-- acknowledgements by id, KEYS[3] statuses and clearings by token; KEYS[4] what is held, in order; KEYS[5] the digest of
-- whatever was ever said under an id, and which actions are expected; KEYS[6] counts; KEYS[7] what was set
-- aside, with why. They end together, by the ttl after the last deadline or the last word, whichever is later.
--
-- A fact is kept as 'MICROSECONDS SEQ BODY'. Times are this server's and never decrease within a run. ARGV[1] (0 but in
-- tests) shifts them, in milliseconds; ARGV[2] is the ttl in seconds, ARGV[3] how many expectations, ARGV[4] how many words
-- and ARGV[5] how many bytes may be held.
--
-- A script reads and decides first and writes last: one that refuses has written nothing.

local shift_us = tonumber(ARGV[1]) * 1000
local ttl_us = tonumber(ARGV[2]) * 1000000

local function meta(name)
    return tonumber(redis.call('HGET', KEYS[6], name) or '0')
end

local clock = redis.call('TIME')
local now = math.max(tonumber(clock[1]) * 1000000 + tonumber(clock[2]) + shift_us, meta('at'))

local function whole(number)
    return string.format('%.0f', number)
end

-- 'duplicate' or 'conflict' where something was said under the name before, else nil.
local function before(name, digest)
    local known = redis.call('HGET', KEYS[5], name)
    if not known then
        return nil
    end
    return known == digest and 'duplicate' or 'conflict'
end

local function append(key, member, digest, body)
    local seq = redis.call('HINCRBY', KEYS[6], 'seq', 1)
    redis.call('HSET', key, string.sub(member, 3), whole(now) .. ' ' .. whole(seq) .. ' ' .. body)
    redis.call('ZADD', KEYS[4], seq, member)
    redis.call('HSET', KEYS[5], member, digest)
    redis.call('HINCRBY', KEYS[6], 'bytes', #body)
end

-- Notes the time, and lets every key live on: never less long than before.
local function prolong(deadline)
    local ends = math.max(meta('until'), math.max(now, deadline or 0) + ttl_us)
    redis.call('HSET', KEYS[6], 'at', whole(now), 'until', whole(ends))
    local at_ms = whole(math.ceil((ends - shift_us) / 1000))
    for place = 1, 7 do
        redis.call('PEXPIREAT', KEYS[place], at_ms)
    end
end
