-- park: sets aside what the ledger refuses for good. It is held no longer, so that it keeps nothing else from being moved;
-- it stays as it is, and counts as bytes that are held, for as long as the run is known here.
--
-- ARGV[6] member, ARGV[7] the code of the refusal. Gives {'parked', '1', or '0' where it was not held}.

if redis.call('ZREM', KEYS[4], ARGV[6]) == 0 then
    return {'parked', '0'}
end
redis.call('HSET', KEYS[6], ARGV[6], ARGV[7])
prolong(KEYS[6])
return {'parked', '1'}
