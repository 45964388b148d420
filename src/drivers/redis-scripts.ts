/**
 * What must happen as one step in Redis, as Lua. Redis 6.2 or later, Valkey alike.
 *
 * A topic has a hash `meta` (epoch, offset, the server's run, bytes kept) and a stream `log` whose ids are `<offset>-0`. The
 * epoch is new when there is no hash, and when the server is not the one that wrote it: a server that came back, or a replica
 * that took over, may have lost the last numbers, which must not be given out twice in one epoch.
 */

/** Brings `meta` up to date; leaves `epoch` and `offset`. KEYS: meta, log. */
const POSITION = `
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'offset', 'run', 'bytes')
local epoch, offset, bytes = meta[1], tonumber(meta[2]), tonumber(meta[4])
if not epoch or meta[3] ~= run then
  epoch, offset, bytes = ARGV[1], 0, 0
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'offset', 0, 'run', run, 'bytes', 0)
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
`;

/**
 * Numbers, keeps within bounds, and fans out. KEYS: meta, log, key of idempotency. ARGV: new epoch, lifetime of meta, now, entry,
 * entry for fan-out, channel, most entries, most bytes, most age, age of an idempotency key (0 = none).
 */
export const PUBLISH = `${POSITION}
local now, keyAge = tonumber(ARGV[3]), tonumber(ARGV[10])
if keyAge > 0 then
  local known = redis.call('HMGET', KEYS[3], 'epoch', 'offset', 'at')
  if known[1] and now - tonumber(known[3]) < keyAge then return {known[1], tonumber(known[2]), 1} end
end
offset = offset + 1
if redis.call('EXISTS', KEYS[2]) == 0 then bytes = 0 end
redis.call('XADD', KEYS[2], offset .. '-0', 'at', ARGV[3], 'entry', ARGV[4])
bytes = bytes + #ARGV[4]
local count = redis.call('XLEN', KEYS[2])
while count > 0 do
  local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  local isOld = now - tonumber(oldest[2][2]) > tonumber(ARGV[9])
  if count <= tonumber(ARGV[7]) and bytes <= tonumber(ARGV[8]) and not isOld then break end
  redis.call('XDEL', KEYS[2], oldest[1])
  bytes = bytes - #oldest[2][4]
  count = count - 1
end
redis.call('PEXPIRE', KEYS[2], ARGV[9])
redis.call('HSET', KEYS[1], 'offset', offset, 'bytes', bytes)
if keyAge > 0 then
  redis.call('HSET', KEYS[3], 'epoch', epoch, 'offset', offset, 'at', ARGV[3])
  redis.call('PEXPIRE', KEYS[3], keyAge)
end
redis.call('PUBLISH', ARGV[6], 'M' .. offset .. ' ' .. ARGV[3] .. ' ' .. epoch .. ' ' .. ARGV[5])
return {epoch, offset, 0}
`;

/** Ends an epoch, for streams that went on elsewhere. KEYS: meta, log. ARGV: new epoch, lifetime of meta, channel. */
export const RENEW = `
redis.call('DEL', KEYS[1], KEYS[2])
${POSITION}
redis.call('PUBLISH', ARGV[3], 'E')
return 1
`;

/**
 * Position and entries. KEYS: meta, log. ARGV: new epoch, lifetime of meta, oldest time, whether entries are wanted, and the first
 * id of them that counts in an epoch.
 */
export const HISTORY = `${POSITION}
local entries = {}
if ARGV[4] == '1' then
  for _, item in ipairs(redis.call('XRANGE', KEYS[2], ARGV[5] == epoch and ARGV[6] or '-', '+')) do
    if tonumber(item[2][2]) >= tonumber(ARGV[3]) then
      entries[#entries + 1] = item[1]
      entries[#entries + 1] = item[2][2]
      entries[#entries + 1] = item[2][4]
    end
  end
end
return {epoch, offset, entries}
`;

/**
 * Takes those off whose lease is over. KEYS: leases, members, users, standIns, quiet. ARGV: now, channel.
 *
 * `standIns` has by user the lost connection that stands for them until its lease is over; `quiet` the connections that came
 * meanwhile, whose coming is not told yet, as a text with blanks around each.
 */
const REAP = `
local function publish(sign, isEdge, entry)
  redis.call('PUBLISH', ARGV[2], 'P' .. sign .. (isEdge and '1' or '0') .. entry)
end
local function leave(client)
  local entry = redis.call('HGET', KEYS[2], client)
  if not entry then return end
  local user = cjson.decode(entry).user
  redis.call('HDEL', KEYS[2], client)
  redis.call('ZREM', KEYS[1], client)
  local left = redis.call('HINCRBY', KEYS[3], user, -1)
  if left <= 0 then redis.call('HDEL', KEYS[3], user) end
  local quiet = redis.call('HGET', KEYS[5], user) or ''
  local first, last = string.find(quiet, ' ' .. client .. ' ', 1, true)
  if first then
    redis.call('HSET', KEYS[5], user, string.sub(quiet, 1, first) .. string.sub(quiet, last + 1))
    return
  end
  if redis.call('HGET', KEYS[4], user) == client then
    redis.call('HDEL', KEYS[4], user)
    redis.call('HDEL', KEYS[5], user)
    for each in string.gmatch(quiet, '[^ ]+') do
      local back = redis.call('HGET', KEYS[2], each)
      if back then publish('+', false, back) end
    end
  end
  publish('-', left <= 0, entry)
end
for _, client in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1])) do leave(client) end
`;

/** Joins, or renews the lease. ARGV: now, channel, client, user, entry, lease end, lifetime of the keys. */
export const PRESENCE_JOIN = `${REAP}
redis.call('ZADD', KEYS[1], ARGV[6], ARGV[3])
if redis.call('HSETNX', KEYS[2], ARGV[3], ARGV[5]) == 1 then
  local count = redis.call('HINCRBY', KEYS[3], ARGV[4], 1)
  if redis.call('HEXISTS', KEYS[4], ARGV[4]) == 1 then
    redis.call('HSET', KEYS[5], ARGV[4], (redis.call('HGET', KEYS[5], ARGV[4]) or ' ') .. ARGV[3] .. ' ')
  else
    publish('+', count == 1, ARGV[5])
  end
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[7]) end
return 1
`;

/** ARGV: now, channel, client. */
export const PRESENCE_LEAVE = `${REAP}
leave(ARGV[3])
return 1
`;

/** ARGV: now, channel, client, lease end. */
export const PRESENCE_FADE = `${REAP}
local entry = redis.call('HGET', KEYS[2], ARGV[3])
if not entry then return 0 end
local user = cjson.decode(entry).user
if string.find(redis.call('HGET', KEYS[5], user) or '', ' ' .. ARGV[3] .. ' ', 1, true) then
  leave(ARGV[3])
  redis.call('ZADD', KEYS[1], 'XX', ARGV[4], redis.call('HGET', KEYS[4], user))
else
  redis.call('ZADD', KEYS[1], ARGV[4], ARGV[3])
  if user ~= '' then
    redis.call('HSET', KEYS[4], user, ARGV[3])
    redis.call('PEXPIRE', KEYS[4], math.max(1, redis.call('PTTL', KEYS[2])))
  end
end
return 1
`;

/** ARGV: now, channel, whether members are wanted. */
export const PRESENCE_READ = `${REAP}
if ARGV[3] == '1' then return redis.call('HVALS', KEYS[2]) end
return {redis.call('HLEN', KEYS[2]), redis.call('HLEN', KEYS[3])}
`;
