-- The index of a namespace: which runs are to be looked at, and when. Three sorted sets of one hash tag, apart from every
-- run's: KEYS[1] runs by when to look next, KEYS[2] by when they were last written to, KEYS[3] by their names. A run is
-- noted here *before* anything is written under its own keys: a crash between the two leaves a row without facts, never
-- facts that nobody looks for.
--
-- ARGV[1] shifts this server's clock, in milliseconds. ARGV[2] says what is asked:
--   touch  ARGV[3] run, ARGV[4] in how many milliseconds to look, ARGV[5] for how many the run's own keys may live from now.
--          Gives {'touched'}. An earlier look stays. The index ends after the last of the runs in it.
--   due    ARGV[3] how many, ARGV[4] before when in microseconds, '' for now. Gives {'due', run, when, …}, earliest first.
--   names  ARGV[3] how many, ARGV[4] after which run. Gives {'names', run, …}.
--   among  ARGV[3] and on: runs. Gives {'among', and those of them that stand here}.
--   settle ARGV[3] run, ARGV[4] the time of the look that was made, ARGV[5] grace in milliseconds, ARGV[6] '1' where nothing
--          is held. A run without facts that nobody has written to for the grace is forgotten, any other is looked at again
--          after it, unless somebody wants it earlier. Gives {'settled'}.

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2]) + tonumber(ARGV[1]) * 1000

local function whole(number)
    return string.format('%.0f', number)
end

if ARGV[2] == 'touch' then
    redis.call('ZADD', KEYS[1], 'LT', whole(now + tonumber(ARGV[4]) * 1000), ARGV[3])
    redis.call('ZADD', KEYS[2], whole(now), ARGV[3])
    redis.call('ZADD', KEYS[3], '0', ARGV[3])
    for place = 1, 3 do
        if redis.call('PTTL', KEYS[place]) < tonumber(ARGV[5]) then
            redis.call('PEXPIRE', KEYS[place], ARGV[5])
        end
    end
    return {'touched'}
end
if ARGV[2] == 'due' then
    local before = ARGV[4] == '' and whole(now) or ARGV[4]
    local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. before, 'WITHSCORES', 'LIMIT', 0, ARGV[3])
    table.insert(found, 1, 'due')
    return found
end
if ARGV[2] == 'names' then
    local found = redis.call('ZRANGEBYLEX', KEYS[3], ARGV[4] == '' and '-' or '(' .. ARGV[4], '+', 'LIMIT', 0, ARGV[3])
    table.insert(found, 1, 'names')
    return found
end
if ARGV[2] == 'among' then
    local found = {'among'}
    for place = 3, #ARGV do
        if redis.call('ZSCORE', KEYS[2], ARGV[place]) then
            found[#found + 1] = ARGV[place]
        end
    end
    return found
end
local run, grace_us = ARGV[3], tonumber(ARGV[5]) * 1000
local touched = tonumber(redis.call('ZSCORE', KEYS[2], run) or '0')
if ARGV[6] == '1' and touched + grace_us < now then
    redis.call('ZREM', KEYS[1], run)
    redis.call('ZREM', KEYS[2], run)
    redis.call('ZREM', KEYS[3], run)
elseif redis.call('ZSCORE', KEYS[1], run) == ARGV[4] then
    redis.call('ZADD', KEYS[1], whole(now + grace_us), run)
end
return {'settled'}
