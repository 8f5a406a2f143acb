-- release: lets go of exactly what was moved; its id and its digest stay, so that it is a duplicate for as long as the
-- run is known here.
--
-- ARGV[6] and on: members. Gives {'released', how many were held}.

local count, size = 0, 0
for at = 6, #ARGV do
    local member = ARGV[at]
    if redis.call('ZREM', KEYS[4], member) == 1 then
        local kind, id = string.sub(member, 1, 1), string.sub(member, 3)
        local key = kind == 'e' and KEYS[1] or kind == 'a' and KEYS[2] or KEYS[3]
        local kept = redis.call('HGET', key, id)
        size = size + #string.match(kept, '^%d+ %d+ (.*)$')
        redis.call('HDEL', key, id)
        count = count + 1
    end
end
if count > 0 then
    redis.call('HINCRBY', KEYS[5], 'n:bytes', -size)
end
return {'released', count}
