-- note: remembers what an arbiter decided about a key.
--
-- ARGV[3] the arbiter's name while it is open, in hex, ARGV[4] time of the ruling in microseconds of its clock, ARGV[5] phase
-- ('deleted' where nothing is kept any more; where nothing was kept before either, 'absent' to a deletion and 'unknown' to
-- what else was refused), ARGV[6] fingerprint, ARGV[7]
-- token, ARGV[8] run or '', ARGV[9] attempt, ARGV[10] lease in ms, ARGV[11] ttl in s, ARGV[12] created, ARGV[13] claimed,
-- ARGV[14] lease_until, ARGV[15] ended or '': microseconds from the ruling on; ARGV[16] error after a '=', or '',
-- ARGV[17] lease_until by the arbiter's clock, ARGV[18] answer where it is kept. Gives {noted}, or {older} where a later ruling of the same arbiter
-- is remembered, or {alone} where Redis alone decided about a key that the arbiter does not know: then nothing is written.
-- The answer and the error of a key that names a run are not sent here: the arbiter gives them, until the run is erased.
-- What is not kept leaves a mark for as long as a ruling before it may be late, and none where nothing was known anywhere.
-- Times become this server's: the two clocks may differ, what is left of a lease does not. What is said of the lease's end
-- stays the arbiter's.
-- Its first write is one that a server without room refuses: of what follows in a script it refuses nothing.

local MARKED_US = 600000000

local record = stored()
local ruled = tonumber(ARGV[4])
if record and record.arbiter == ARGV[3] and record.ruled >= ruled then
    return {'older'}
end
local was_unknown = ARGV[5] == 'absent' or ARGV[5] == 'unknown'
if was_unknown and record and not record.arbiter then
    return {'alone'}
end
if ARGV[5] == 'unknown' and not record then
    return {'noted'}
end
local is_mark = was_unknown or ARGV[5] == 'deleted'
local fresh = {
    phase = is_mark and 'released' or ARGV[5], fingerprint = ARGV[6], token = ARGV[7], run = ARGV[8], attempt = tonumber(ARGV[9]),
    lease_ms = tonumber(ARGV[10]), ttl_s = tonumber(ARGV[11]), created = now + tonumber(ARGV[12]),
    claimed = now + tonumber(ARGV[13]), lease_until = now + tonumber(ARGV[14]),
    arbiter = ARGV[3], ruled = ruled, said_until = tonumber(ARGV[17]),
}
if ARGV[15] ~= '' then
    fresh.ended = now + tonumber(ARGV[15])
end
if ARGV[16] ~= '' then
    fresh.error = string.sub(ARGV[16], 2)
end
if ARGV[18] then
    redis.call('SET', KEYS[2], ARGV[18], 'PXAT', at_ms(expires(fresh)))
end
keep(fresh, is_mark and now + MARKED_US or nil)
if not ARGV[18] then
    redis.call('DEL', KEYS[2])
end
return {'noted'}
