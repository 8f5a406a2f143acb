-- delete: forgets a key. Gives {deleted, 1 where it was known else 0}.

local record = stored()
redis.call('DEL', KEYS[1], KEYS[2])
return {'deleted', record and record.phase ~= 'released' and 1 or 0}
