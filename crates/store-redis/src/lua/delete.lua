-- delete: forgets a key. Gives {deleted, 1 where it was known else 0}, or {arbitrated} where it is the arbiter's.

local record = stored()
if record and record.arbiter then
    return {'arbitrated'}
end
redis.call('DEL', KEYS[1], KEYS[2])
return {'deleted', record and record.phase ~= 'released' and 1 or 0}
