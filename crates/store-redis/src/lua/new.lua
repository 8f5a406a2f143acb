-- A check of a key of which nothing is kept, the rest is check.lua: this comes before the functions that a kept record needs,
-- since a script makes its functions at each call. The record is the caller's but for its time.

if not kept then
    redis.call('SET', KEYS[1], '2 ' .. clock[1] .. ' ' .. clock[2] .. ARGV[4], 'PX', ARGV[3])
    return {'fresh', clock[1], clock[2]}
end
