-- drop: forgets a run, unless something is held of it still, or was set aside: that is nowhere else.
--
-- ARGV[6] '1' where that goes, too. Gives {'dropped', how many of its keys there were}, {'held'} or {'parked'}.

if ARGV[6] ~= '1' then
    if redis.call('EXISTS', KEYS[4]) == 1 then
        return {'held'}
    end
    if redis.call('EXISTS', KEYS[6]) == 1 then
        return {'parked'}
    end
end
return {'dropped', redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6])}
