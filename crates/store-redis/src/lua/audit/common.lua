-- What every script over one run's facts begins with. Six keys of one hash tag: KEYS[1] expectations and KEYS[2]
-- acknowledgements by id, KEYS[3] statuses and clearings by token; KEYS[4] what is held, in order; KEYS[5] the digest of
-- whatever was ever said under an id, which actions are expected, and the counts below, 'n:NAME'; KEYS[6] what was set
-- aside, with why. They end together, by the ttl after the last deadline or the last word, whichever is later; of the last
-- word half a minute later, so that not every word has to say so.
--
-- A fact is kept as 'MICROSECONDS SEQ BODY'. Times are this server's and never decrease within a run. ARGV[1] (0 but in
-- tests) shifts them, in milliseconds; ARGV[2] is the ttl in seconds, ARGV[3] how many expectations, ARGV[4] how many words
-- and ARGV[5] how many bytes may be held.
--
-- A script reads and decides first and writes last: one that refuses has written nothing.

local shift_us = tonumber(ARGV[1]) * 1000
local ttl_us = tonumber(ARGV[2]) * 1000000
local SPARE_US = 30000000

local counts = redis.call('HMGET', KEYS[5], 'n:at', 'n:until', 'n:seq', 'n:bytes', 'n:words', 'n:expectations')
local ends, seq, bytes = tonumber(counts[2] or 0), tonumber(counts[3] or 0), tonumber(counts[4] or 0)
local words, expectations = tonumber(counts[5] or 0), tonumber(counts[6] or 0)
local clock = redis.call('TIME')
local now = math.max(tonumber(clock[1]) * 1000000 + tonumber(clock[2]) + shift_us, tonumber(counts[1] or 0))

local function whole(number)
    return string.format('%.0f', number)
end

-- 'duplicate' or 'conflict' where something was said under the name before, else nil; and its digest.
local function before(name, digest)
    local known = redis.call('HGET', KEYS[5], name)
    if not known then
        return nil
    end
    return known == digest and 'duplicate' or 'conflict', known
end

local function append(key, member, digest, body)
    seq, bytes = seq + 1, bytes + #body
    redis.call('HSET', key, string.sub(member, 3), whole(now) .. ' ' .. whole(seq) .. ' ' .. body)
    redis.call('ZADD', KEYS[4], seq, member)
    redis.call('HSET', KEYS[5], member, digest)
end

-- Notes the time and the counts, and lets every key live on: never less long than before. `key` may be new, and so may what
-- is held.
local function prolong(key, deadline)
    local lives = math.max(ends, (deadline or 0) + ttl_us)
    if lives < now + ttl_us then
        lives = now + ttl_us + SPARE_US
    end
    redis.call('HSET', KEYS[5], 'n:at', whole(now), 'n:until', whole(lives), 'n:seq', whole(seq), 'n:bytes', whole(bytes),
        'n:words', whole(words), 'n:expectations', whole(expectations))
    local at_ms = whole(math.ceil((lives - shift_us) / 1000))
    if lives > ends then
        for place = 1, 6 do
            redis.call('PEXPIREAT', KEYS[place], at_ms)
        end
        return
    end
    for _, written in ipairs({key, KEYS[4]}) do
        if redis.call('PTTL', written) == -1 then
            redis.call('PEXPIREAT', written, at_ms)
        end
    end
end
