-- What every script begins with. KEYS[1] holds what is kept of a key, as text; KEYS[2] its answer, which goes when its ttl is
-- over. Both have one hash tag. Times are microseconds by this server's clock; ARGV[1] (0 but in tests) shifts it, in
-- milliseconds, ARGV[2] is how many seconds a key is remembered beyond its ttl.
--
-- A script writes nothing before it has decided, but for a check of a key of which nothing is kept: that decides by the very
-- write that keeps the record, or writes nothing (new.lua). The first write is one that a server without room refuses, or a
-- DEL alone: a script that was refused has written nothing. An answer is written before the record that names it.

local clock = redis.call('TIME')
if ARGV[1] ~= '0' then
    local us = tonumber(clock[1]) * 1000000 + tonumber(clock[2]) + tonumber(ARGV[1]) * 1000
    clock = {string.format('%.0f', math.floor(us / 1000000)), string.format('%.0f', us % 1000000)}
end
