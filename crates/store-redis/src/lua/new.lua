-- A check of a key of which nothing is kept, the rest is check.lua. The record is the caller's but for its time, and whether
-- there was one is the write's own to say: so it is a command less than to look first, and the functions that a kept record
-- needs are not made, which a script does at each call. A server that takes no writes can still say how a key stands.

local first = redis.pcall('SET', KEYS[1], '2 ' .. clock[1] .. ' ' .. clock[2] .. ARGV[4], 'NX', 'PX', ARGV[3])
if first and first.ok then
    return {'fresh', clock[1], clock[2]}
end
