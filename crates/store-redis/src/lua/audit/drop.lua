-- drop: forgets a run whole. Gives {'dropped', how many of its keys there were}.

return {'dropped', redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6])}
