#!lua name=kinbid_v1

-- The steps of the identity protocol that must be atomic, and the exact check of a frequency cap.
-- Each touches the keys of one node only, which share a hash tag, or the epoch of one partition.

-- An entry n:{x}: absent or ",G" a root, ">PARENT" or ">PARENT,G" merged, "!G@TOKEN" closed by a
-- split. G counts the splits that the node has been through. "^MS" behind it: the identifier was
-- erased, and nothing up to that time, Unix ms, counts.
local function is_root(key)
  local entry = redis.call('GET', key)
  return not entry or string.sub(entry, 1, 1) == ','
end

local function splits_of(entry)
  return tonumber(string.match(entry or '', ',(%d+)') or '0')
end

local function erasure_in(entry)
  return string.match(entry or '', '%^%d+$') or ''
end

local function erased_ms(entry)
  return tonumber(string.match(entry or '', '%^(%d+)$') or '0')
end

-- Whether the split has been carried out at a node, or another one since.
local function is_led(entry, splits, token)
  local closed = string.match(entry, '^!%d+@[^^]*')
  if closed then return closed ~= '!' .. splits .. '@' .. token end
  return splits_of(entry) >= tonumber(splits)
end

-- Whether the person p has been through exactly so many splits as the caller has seen.
local function is_same(key, splits)
  return (redis.call('HGET', key, 'g') or '0') == splits
end

local function rename(from, to)
  if redis.call('EXISTS', from) == 1 then redis.call('RENAME', from, to) end
end

-- KEYS n:{r} p:{r} b:{r}  ARGV token, child, splits, forced
-- The root announces a merge that is about to happen. 0: the root has been merged or split since
-- it was found, -1: the person is contested, and the link is not forced.
local function mark(keys, args)
  local person = redis.call('HMGET', keys[2], 'g', '!')
  if not is_root(keys[1]) or (person[1] or '0') ~= args[3] then return 0 end
  if args[4] == '0' and person[2] then return -1 end
  redis.call('HSET', keys[2], 'm:' .. args[1], args[2])
  redis.call('HSET', keys[3], 'm:' .. args[1], args[2])
  redis.call('PERSIST', keys[3])
  return 1
end

-- KEYS n:{c} p:{c} q:{c} b:{c} z:{c}  ARGV parent, token, child, splits, forced, seconds
-- Links the child and freezes what it holds, in one instant; for so many seconds its bid view leads
-- readers on who are on their way. 0: it has been merged or split since, or somebody has taken the
-- announcement back; -1: as in mark.
local function drain(keys, args)
  local person, entry = redis.call('HMGET', keys[2], 'd:' .. args[2], 'g', '!'),
    redis.call('GET', keys[1]) or ''
  if person[1] then
    redis.call('HDEL', keys[2], 'd:' .. args[2])
    return 0
  end
  if string.find(entry, '^[^,]') or (person[2] or '0') ~= args[4] then return 0 end
  if args[5] == '0' and person[3] then return -1 end
  redis.call('SET', keys[1], '>' .. args[1] .. entry)
  rename(keys[2], keys[3])
  redis.call('HSET', keys[3], '>', args[2], 'k:' .. args[3], '1')
  rename(keys[4], keys[5])
  redis.call('HSET', keys[5], '>', args[2])
  redis.call('PERSIST', keys[5])
  redis.call('HSET', keys[4], '>', args[1])
  redis.call('EXPIRE', keys[4], args[6])
  return 1
end

-- KEYS n:{c} p:{c}  ARGV token
-- Takes an announced merge back, unless it has happened: then 0.
local function kill(keys, args)
  local entry = redis.call('GET', keys[1])
  if entry and string.sub(entry, 1, 1) == '>' then return 0 end
  redis.call('HSET', keys[2], 'd:' .. args[1], '1')
  return 1
end

-- KEYS n:{r} p:{r} b:{r}  ARGV token, frozen, count of person fields, field, value, ... (then b's)
-- Takes in what a child or a split person held, once; j:token says that no view holds it yet.
-- 0: the root has been merged, or it was done by another.
local function absorb(keys, args)
  if not is_root(keys[1]) then return 0 end
  if redis.call('HDEL', keys[2], 'm:' .. args[1]) == 0 then return 0 end
  local splits = tonumber(redis.call('HGET', keys[2], 'g') or '0')
  local last, fields = 3 + 2 * tonumber(args[3]), {'j:' .. args[1], args[2]}
  for i = 4, last, 2 do
    local name, value = args[i], args[i + 1]
    if name == 'g' then splits = math.max(splits, tonumber(value))
    -- What says '1' everywhere may be set again.
    elseif string.find(name, '^[fckx]:') then
      fields[#fields + 1], fields[#fields + 2] = name, value
    else redis.call('HSETNX', keys[2], name, value) end
    if #fields > 1000 then  -- unpack takes less than 8000
      redis.call('HSET', keys[2], unpack(fields))
      fields = {'j:' .. args[1], args[2]}
    end
  end
  if splits > 0 then fields[#fields + 1], fields[#fields + 2] = 'g', splits end
  redis.call('HSET', keys[2], unpack(fields))
  for i = last + 1, #args, 2 do redis.call('HSETNX', keys[3], args[i], args[i + 1]) end
  return 1
end

-- KEYS n:{r} p:{r}  ARGV field, node, root
-- Removes what was folded into nobody or into a person that the node has left. What stands
-- at a person of the node's own stays: it is right, or a part of a split will replace it.
local function drop(keys, args)
  if is_root(keys[1]) then
    if args[2] == args[3] or redis.call('HEXISTS', keys[2], 'k:' .. args[2]) == 1 then return 0 end
  end
  return redis.call('HDEL', keys[2], args[1])
end

-- KEYS n:{x}  ARGV expected, new
-- Shortens a path, unless the link has changed meanwhile.
local function shorten(keys, args)
  if redis.call('GET', keys[1]) ~= args[1] then return 0 end
  redis.call('SET', keys[1], args[2])
  return 1
end

-- KEYS n:{r} p:{r} q:{r}:TOKEN b:{r} z:{r}:TOKEN  ARGV root, token, plan, splits, seconds
-- Closes a person for a split and freezes what it holds. 0: it has been merged or split since,
-- 2: a merge into it is under way.
local function close(keys, args)
  if not is_root(keys[1]) or not is_same(keys[2], args[4]) then return 0 end
  for _, name in ipairs(redis.call('HKEYS', keys[2])) do
    if string.sub(name, 1, 2) == 'm:' then return 2 end
  end
  local erasure = erasure_in(redis.call('GET', keys[1]))
  redis.call('SET', keys[1], '!' .. (tonumber(args[4]) + 1) .. '@' .. args[2] .. erasure)
  rename(keys[2], keys[3])
  redis.call('HSET', keys[3], '>', args[2], 'k:' .. args[1], '1', 'plan', args[3])
  redis.call('EXPIRE', keys[3], args[5])
  rename(keys[4], keys[5])
  redis.call('HSET', keys[5], '>', args[2])
  redis.call('EXPIRE', keys[5], args[5])
  redis.call('HSET', keys[4], '!', args[2])
  return 1
end

-- KEYS n:{k} p:{k} b:{k}  ARGV token, frozen, splits, token of the part
-- Makes the root of one part of a split, until the part takes in what is its own. 0: done before.
local function born(keys, args)
  if is_led(redis.call('GET', keys[1]) or '', args[3], args[1]) then return 0 end
  redis.call('HSET', keys[2], 'm:' .. args[4], args[2], 'g', args[3])
  redis.call('HDEL', keys[3], '>', '!')
  redis.call('HSET', keys[3], 'm:' .. args[4], args[2], 'g', args[3])
  redis.call('PERSIST', keys[3])
  return 1
end

-- KEYS p:{r}  ARGV token
-- Removes the mark of a contested person, unless somebody else has set it since.
local function calm(keys, args)
  if redis.call('HGET', keys[1], '!') ~= args[1] then return 0 end
  return redis.call('HDEL', keys[1], '!')
end

-- KEYS n:{x} b:{x}  ARGV member, root of its part, splits, token
-- Has a member lead to its part. 0: it does, or has gone on from there.
local function repoint(keys, args)
  local entry = redis.call('GET', keys[1]) or ''
  if is_led(entry, args[3], args[4]) then return 0 end
  local splits = ',' .. args[3] .. erasure_in(entry)
  if args[1] == args[2] then
    redis.call('SET', keys[1], splits)
  else
    redis.call('SET', keys[1], '>' .. args[2] .. splits)
    if redis.call('HEXISTS', keys[2], '>') == 1 then redis.call('HSET', keys[2], '>', args[2]) end
  end
  return 1
end

-- KEYS n:{r} p:{r} b:{r}  ARGV splits, version, header, ledger, token, ...
-- Sets what the bidder reads, unless a newer view stands there, and removes the markers of the
-- merges and splits named, since either view holds what they brought. 0: the root has been merged
-- or split since it was settled.
local function publish(keys, args)
  if not is_root(keys[1]) or not is_same(keys[2], args[1]) then return 0 end
  local seen = redis.call('HGET', keys[3], 'v')
  if not seen or tonumber(seen) <= tonumber(args[2]) then
    redis.call('HSET', keys[3], 'v', args[2], 'h', args[3], 'c', args[4])
    if not seen then redis.call('PERSIST', keys[3]) end
  end
  for i = 5, #args do
    redis.call('HDEL', keys[2], 'j:' .. args[i])
    redis.call('HDEL', keys[3], 'm:' .. args[i])
  end
  return 1
end

-- KEYS n:{x}  ARGV erased_ms
-- Has an identifier be erased: whoever folds or links looks at its entry. 0: it was, later.
local function erase(keys, args)
  local entry = redis.call('GET', keys[1]) or ',0'
  if erased_ms(entry) >= tonumber(args[1]) then return 0 end
  redis.call('SET', keys[1], string.match(entry, '^[^^]*') .. '^' .. args[1])
  return 1
end

-- When evidence was told, Unix ms.
local function time_of(evidence)
  return tonumber(string.match(evidence, '@(%d+)'))
end

-- When a verdict was given, Unix ms.
local function given_ms(verdict)
  return tonumber(string.match(verdict, '^%d+'))
end

-- Of which kind evidence is and when it was told, without its confidence.
local function source_of(evidence)
  return string.sub(evidence, 1, 1) .. string.match(evidence, '@%d+')
end

-- Whether a web session has called from one phone and given another one in a form.
local function has_other_phone(key)
  local called, given, all = false, false, redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 3) == 'e:p' then
      local is_call = string.sub(all[i + 1], 1, 1) == '4'
      called, given = called or is_call, given or not is_call
    end
  end
  return called and given
end

-- Whether evidence for a link is weaker or later than that for another one; of equals, by the name.
local function is_behind(evidence, other, last, name)
  if evidence == last then return other > name end
  return evidence > last
end

-- How many links of an identifier are kept, and the weakest and latest: its evidence, and the other.
local function links_of(key)
  local links, last, name, all = 0, '', '', redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'e:' then
      links = links + 1
      local other = string.sub(all[i], 3)
      if is_behind(all[i + 1], other, last, name) then last, name = all[i + 1], other end
    end
  end
  return links, last, name
end

-- KEYS w:{x} n:{x}  ARGV other, evidence, most links, when the other was erased
-- Keeps the strongest and earliest evidence for a pair, since either was erased. An identifier with
-- too many links keeps some more, so that it has too many still when some are erased: the strongest
-- and earliest of all, in whatever order they come. What is the next one, it knows for good.
-- Returns how many links the identifier has at the most; where these are not too many, -1 if a
-- person has rejected this one, -2 if somebody has to look whether it is refused: it was before, or
-- other phones speak against it; -3 where the identifier was erased meanwhile.
local function witness(keys, args)
  local erased = erased_ms(redis.call('GET', keys[2]))
  if erased > 0 and time_of(args[2]) <= erased then return -3 end
  erased = math.max(erased, tonumber(args[4]))
  local other, evidence, most = args[1], args[2], tonumber(args[3])
  local verdict, known, refused, more =
    unpack(redis.call('HMGET', keys[1], 'x:' .. other, 'e:' .. other, 's:' .. other, '+'))
  local links, is_kept, last, name = redis.call('HLEN', keys[1]), true, '', ''
  if links > most or not known and links == most then
    links, last, name = links_of(keys[1])
  end
  if known then
    -- Of one call, what was found out last about its confidence.
    is_kept = evidence < known or time_of(known) <= erased
      or source_of(known) == source_of(evidence)
  else
    links = links + 1
    if links > 2 * most + 1 then
      is_kept = not is_behind(evidence, other, last, name)
      if is_kept then redis.call('HDEL', keys[1], 'e:' .. name, 's:' .. name) end
      local dropped = is_kept and last or evidence
      if not more or dropped < more then more = dropped end
      redis.call('HSET', keys[1], '+', more)
    end
  end
  if is_kept then redis.call('HSET', keys[1], 'e:' .. other, evidence) end
  if more then links = math.max(links, most + 1) end
  if links > most then return links end
  if verdict and given_ms(verdict) > erased and string.match(verdict, '@(.*)') == 'rejected' then
    return -1
  end
  if refused then return -2 end
  if string.sub(other, 1, 1) == 'p' and has_other_phone(keys[1]) then return -2 end
  return links
end

-- KEYS w:{x}  ARGV other, erased_ms
-- Forgets what was told and decided of a pair until one of it was erased.
local function disown(keys, args)
  local other, erased = args[1], tonumber(args[2])
  local known, verdict, words =
    unpack(redis.call('HMGET', keys[1], 'e:' .. other, 'x:' .. other, 'w:' .. other))
  local left, gone = {}, {}
  for word in string.gmatch(words or '', '[^,]+') do
    if tonumber(string.sub(word, 1, 13)) > erased then left[#left + 1] = word end
  end
  if #left > 0 then redis.call('HSET', keys[1], 'w:' .. other, table.concat(left, ',')) end
  local is_known = known and time_of(known) > erased
  local is_judged = verdict and given_ms(verdict) > erased
  if not is_known then gone[#gone + 1] = 'e:' .. other end
  if not is_judged then gone[#gone + 1] = 'x:' .. other end
  if #left == 0 then gone[#gone + 1] = 'w:' .. other end
  if #gone == 3 then gone[#gone + 1] = 's:' .. other end
  if #gone > 0 then redis.call('HDEL', keys[1], unpack(gone)) end
  return 1
end

-- KEYS w:{x}  ARGV other, evidence
-- Takes evidence back that turned out wrong, unless other evidence for the pair stands. 0: it does.
local function withdraw(keys, args)
  local known = redis.call('HGET', keys[1], 'e:' .. args[1])
  if not known or source_of(known) ~= source_of(args[2]) then return 0 end
  return redis.call('HDEL', keys[1], 'e:' .. args[1])
end

-- KEYS w:{x}  ARGV other, word, most words
-- Keeps the CRM's newest words on a pair of its cards, the greatest text first: that one stands.
-- 0: as new a one stood before.
local function declare(keys, args)
  local words = {args[2]}
  for word in string.gmatch(redis.call('HGET', keys[1], 'w:' .. args[1]) or '', '[^,]+') do
    if word == args[2] then return 0 end
    words[#words + 1] = word
  end
  table.sort(words, function(one, other) return one > other end)
  local kept = table.concat(words, ',', 1, math.min(#words, tonumber(args[3])))
  redis.call('HSET', keys[1], 'w:' .. args[1], kept)
  return words[1] == args[2] and 1 or 0
end

-- Has a bid view in which nothing but reservations stands go when the last one of a value has
-- expired: nobody else would ever remove what was reserved under an identifier that nobody knows.
local SLACK_SECONDS = 60
local function let_expire(key, value, now)
  local left = math.ceil((tonumber(string.sub(value, 1, 13)) - now) / 1000) + SLACK_SECONDS
  if redis.call('TTL', key) < left then redis.call('EXPIRE', key, left) end
end

-- Whether a bid view holds nothing but reservations.
local function is_bare(key)
  if redis.call('HEXISTS', key, 'h') == 1 then return false end
  for _, name in ipairs(redis.call('HKEYS', key)) do
    if string.sub(name, 1, 2) ~= 'r:' then return false end
  end
  return true
end

-- KEYS n:{r} b:{r}  ARGV own field, its value, when the oldest reservation in it was made, now_ms
-- Shows a worker's reservations to the others: not where the person has been merged away, nor where
-- they were erased since. Returns their entry, which tells.
local function hold(keys, args)
  local entry = redis.call('GET', keys[1]) or ''
  if string.sub(entry, 1, 1) ~= '>' and erased_ms(entry) < tonumber(args[3]) then
    redis.call('HSET', keys[2], args[1], args[2])
    if is_bare(keys[2]) then let_expire(keys[2], args[2], tonumber(args[4])) end
  end
  return entry
end

-- KEYS b:{x}  ARGV erased_ms
-- Removes the reservations of bids that were made up to that time; returns how many fields held any.
local function unreserve(keys, args)
  local all, changed, erased = redis.call('HGETALL', keys[1]), 0, tonumber(args[1])
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'r:' then
      local entries, kept = cmsgpack.unpack(string.sub(all[i + 1], 14)), {}
      for _, entry in ipairs(entries) do
        if entry[4] > erased then kept[#kept + 1] = entry end
      end
      if #kept == 0 then
        changed = changed + redis.call('HDEL', keys[1], all[i])
      elseif #kept < #entries then
        local value = string.sub(all[i + 1], 1, 13) .. cmsgpack.pack(kept)
        redis.call('HSET', keys[1], all[i], value)
        changed = changed + 1
      end
    end
  end
  return changed
end

-- Billed impressions in a window, without those that are reserved, too.
local function billed_since(impressions, since, reserved)
  local count = 0
  for nonce, billed_ms in pairs(impressions or {}) do
    if billed_ms > since and not reserved[nonce] then count = count + 1 end
  end
  return count
end

-- KEYS n:{r} b:{r}
-- ARGV now_ms, own field, own field's new value, when the oldest reservation in it was made,
-- splits seen, campaign, advertiser, then for each limit: 1 where it is the advertiser's, most,
-- window_ms
-- Checks all limits and reserves in one step. 1: reserved, 0: a limit is used up, -1: the person is
-- merging or was split since they were read, ask again; a time: they were erased then, and what was made up to it is void.
local function reserve(keys, args)
  local entry = redis.call('GET', keys[1])
  if entry then
    if string.sub(entry, 1, 1) ~= ',' then return -1 end
    local erased = erased_ms(entry)
    if erased >= tonumber(args[4]) then return erased end
  end
  local now, campaign, advertiser = tonumber(args[1]), args[6], args[7]
  -- Nonces, and how many: of the campaign, of the advertiser.
  local reserved, counts = {{}, {}}, {0, 0}
  local function add(place, nonce)
    if not reserved[place][nonce] then
      reserved[place][nonce], counts[place] = true, counts[place] + 1
    end
  end
  local function add_reserved(packed)
    if tonumber(string.sub(packed, 1, 13)) <= now then return end
    for _, one in ipairs(cmsgpack.unpack(string.sub(packed, 14))) do
      if one[3] > now then
        if one[1] == campaign then add(1, one[2]) end
        if one[5] == advertiser then add(2, one[2]) end
      end
    end
  end
  local all, ledger, bare, splits = redis.call('HGETALL', keys[2]), nil, true, '0'
  for i = 1, #all, 2 do
    local field, value = all[i], all[i + 1]
    local kind = string.sub(field, 1, 2)
    if kind == 'm:' then return -1 end
    if kind ~= 'r:' then bare = false end
    if field == 'c' then ledger = value
    elseif field == 'g' then splits = value
    elseif kind == 'r:' and field ~= args[2] then add_reserved(value) end
  end
  if splits ~= args[5] then return -1 end
  add_reserved(args[3])
  if ledger then ledger = cmsgpack.unpack(ledger) end
  for i = 8, #args, 3 do
    local place, since = tonumber(args[i]) + 1, now - tonumber(args[i + 2])
    local used, names = counts[place], {campaign}
    if ledger then
      if place == 2 then names = (ledger[5] or {})[advertiser] or {} end
      for _, name in ipairs(names) do
        used = used + billed_since(ledger[2][name], since, reserved[place])
      end
    end
    if used > tonumber(args[i + 1]) then return 0 end
  end
  redis.call('HSET', keys[2], args[2], args[3])
  if bare then let_expire(keys[2], args[3], now) end
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

-- KEYS epoch  ARGV begins
-- The epoch of one more owner of a partition. 0: nobody has ever owned it, and none may begin.
local function own(keys, args)
  if args[1] == '0' and redis.call('EXISTS', keys[1]) == 0 then return 0 end
  return redis.call('INCR', keys[1])
end

redis.register_function('kinbid_v1_mark', mark)
redis.register_function('kinbid_v1_drain', drain)
redis.register_function('kinbid_v1_kill', kill)
redis.register_function('kinbid_v1_absorb', absorb)
redis.register_function('kinbid_v1_drop', drop)
redis.register_function('kinbid_v1_close', close)
redis.register_function('kinbid_v1_calm', calm)
redis.register_function('kinbid_v1_born', born)
redis.register_function('kinbid_v1_repoint', repoint)
redis.register_function('kinbid_v1_erase', erase)
redis.register_function('kinbid_v1_witness', witness)
redis.register_function('kinbid_v1_disown', disown)
redis.register_function('kinbid_v1_withdraw', withdraw)
redis.register_function('kinbid_v1_declare', declare)
redis.register_function('kinbid_v1_shorten', shorten)
redis.register_function('kinbid_v1_publish', publish)
redis.register_function('kinbid_v1_hold', hold)
redis.register_function('kinbid_v1_unreserve', unreserve)
redis.register_function('kinbid_v1_reserve', reserve)
redis.register_function('kinbid_v1_sweep', sweep)
redis.register_function('kinbid_v1_own', own)
