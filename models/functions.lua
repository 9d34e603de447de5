#!lua name=kinbid_v1

-- The steps of the identity protocol that must be atomic, and the exact check of a frequency cap.
-- Each touches the keys of one node only, which share a hash tag.

-- KEYS n:{r} p:{r} b:{r}  ARGV token, child
-- The root announces a merge that is about to happen. 0: the root itself has been merged.
local function mark(keys, args)
  if redis.call('EXISTS', keys[1]) == 1 then return 0 end
  redis.call('HSET', keys[2], 'm:' .. args[1], args[2])
  redis.call('HSET', keys[3], 'm:' .. args[1], args[2])
  return 1
end

-- KEYS n:{c} p:{c} q:{c} b:{c} z:{c}  ARGV parent, token, child
-- Links the child and freezes what it holds, in one instant. 0: it has been merged already.
local function drain(keys, args)
  if redis.call('EXISTS', keys[1]) == 1 then return 0 end
  redis.call('SET', keys[1], '>' .. args[1])
  if redis.call('EXISTS', keys[2]) == 1 then redis.call('RENAME', keys[2], keys[3]) end
  redis.call('HSET', keys[3], '>', args[2], 'k:' .. args[3], '1')
  redis.call('HSET', keys[2], '>', args[1])
  if redis.call('EXISTS', keys[4]) == 1 then redis.call('RENAME', keys[4], keys[5]) end
  redis.call('HSET', keys[5], '>', args[2])
  redis.call('HSET', keys[4], '>', args[1])
  return 1
end

-- KEYS n:{r} p:{r} b:{r}  ARGV token, count of person fields, field, value, ... (then bid view's)
-- Takes in what the child held, once. 0: the root has been merged, or it was done by another.
local function absorb(keys, args)
  if redis.call('EXISTS', keys[1]) == 1 then return 0 end
  if redis.call('HEXISTS', keys[2], 'm:' .. args[1]) == 0 then return 0 end
  local last = 2 + 2 * tonumber(args[2])
  for i = 3, last, 2 do redis.call('HSETNX', keys[2], args[i], args[i + 1]) end
  for i = last + 1, #args, 2 do redis.call('HSETNX', keys[3], args[i], args[i + 1]) end
  redis.call('HDEL', keys[2], 'm:' .. args[1])
  return 1
end

-- KEYS n:{x}  ARGV expected, new
-- Shortens a path, unless the link has changed meanwhile.
local function shorten(keys, args)
  if redis.call('GET', keys[1]) ~= args[1] then return 0 end
  redis.call('SET', keys[1], args[2])
  return 1
end

-- KEYS n:{r} b:{r}  ARGV version, header, ledger, child, ...
-- Sets what the bidder reads, unless a newer view stands there; the merge markers of the children
-- named are removed, since either view holds what they held. 0: the root has been merged.
local function publish(keys, args)
  if redis.call('EXISTS', keys[1]) == 1 then return 0 end
  local seen = redis.call('HGET', keys[2], 'v')
  if not seen or tonumber(seen) <= tonumber(args[1]) then
    redis.call('HSET', keys[2], 'v', args[1], 'h', args[2], 'c', args[3])
  end
  if #args > 3 then
    local done = {}
    for i = 4, #args do done[args[i]] = true end
    local all = redis.call('HGETALL', keys[2])
    for i = 1, #all, 2 do
      if string.sub(all[i], 1, 2) == 'm:' and done[all[i + 1]] then
        redis.call('HDEL', keys[2], all[i])
      end
    end
  end
  return 1
end

-- KEYS n:{r} b:{r}
-- ARGV now_ms, own field, own field's new value, campaign, nonce, cap, window_ms
-- Checks the cap and reserves in one step. 1: reserved, 0: the cap is used up, -1: the person is
-- merging, ask again.
local function reserve(keys, args)
  if redis.call('EXISTS', keys[1]) == 1 then return -1 end
  local now, campaign = tonumber(args[1]), args[4]
  local used, count = {}, 0
  local function add(nonce)
    if not used[nonce] then used[nonce] = true; count = count + 1 end
  end
  local function add_reserved(packed)
    if tonumber(string.sub(packed, 1, 13)) <= now then return end
    for _, entry in ipairs(cmsgpack.unpack(string.sub(packed, 14))) do
      if entry[1] == campaign and entry[3] > now then add(entry[2]) end
    end
  end
  local all = redis.call('HGETALL', keys[2])
  for i = 1, #all, 2 do
    local field, value = all[i], all[i + 1]
    local kind = string.sub(field, 1, 2)
    if kind == 'm:' then return -1 end
    if field == 'c' then
      local billed = cmsgpack.unpack(value)[2][campaign] or {}
      for nonce, billed_ms in pairs(billed) do
        if billed_ms > now - tonumber(args[7]) then add(nonce) end
      end
    elseif kind == 'r:' and field ~= args[2] then
      add_reserved(value)
    end
  end
  add_reserved(args[3])
  if count > tonumber(args[6]) then return 0 end
  redis.call('HSET', keys[2], args[2], args[3])
  return 1
end

-- KEYS b:{r}  ARGV now_ms
-- Removes reservations whose every entry has expired.
local function sweep(keys, args)
  local all, removed = redis.call('HGETALL', keys[1]), 0
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'r:' then
      if tonumber(string.sub(all[i + 1], 1, 13)) <= tonumber(args[1]) then
        removed = removed + redis.call('HDEL', keys[1], all[i])
      end
    end
  end
  return removed
end

redis.register_function('kinbid_v1_mark', mark)
redis.register_function('kinbid_v1_drain', drain)
redis.register_function('kinbid_v1_absorb', absorb)
redis.register_function('kinbid_v1_shorten', shorten)
redis.register_function('kinbid_v1_publish', publish)
redis.register_function('kinbid_v1_reserve', reserve)
redis.register_function('kinbid_v1_sweep', sweep)
