import { createHash } from 'node:crypto'

/** A Lua script; Redis runs it as a whole, with nothing in between. */
export interface RedisScript {
  readonly source: string
  readonly sha: string
  readonly keys: number
}

function script(keys: number, source: string): RedisScript {
  return { source, keys, sha: createHash('sha1').update(source).digest('hex') }
}

// Lua numbers are doubles; above 1e14 its own conversion would write them in powers of ten.
const format = `local function int(n) return string.format('%.0f', n) end\n`

// The log is another one than the caller has seen if it ends earlier, or has an entry of another append at that place.
const isBroken = `
local function isBroken(log, head, seenIncarnation, seenRevision, seenMark)
  if not head.incarnation or head.incarnation ~= seenIncarnation then return false end
  local seen = tonumber(seenRevision)
  if seen > head.revision then return true end
  if seen == 0 or seenMark == '' then return false end
  if seen == head.revision then return head.mark ~= seenMark end
  local entry = redis.call('XRANGE', log, seenRevision .. '-0', seenRevision .. '-0')[1]
  return entry ~= nil and entry[2][2] ~= seenMark
end
`

const readHead = `
local function readHead(key)
  local f = redis.call('HMGET', key, 'incarnation', 'revision', 'end', 'first', 'mark', 'deletedAtMs', 'checkpoint', 'checkpointSet', 'continues')
  return { incarnation = f[1] or nil, revision = tonumber(f[2] or '0'), ['end'] = tonumber(f[3] or '0'), first = tonumber(f[4] or '1'),
    mark = f[5] or nil, deletedAtMs = f[6] or nil, checkpoint = tonumber(f[7] or '0'), set = f[8] or nil, continues = f[9] or '' }
end
local function describe(status, head)
  return { status, head.incarnation or '', int(head.revision), head.deletedAtMs or '', head.continues }
end
`

// Chunks of large entries go when nobody can be reading them any more.
const expireLarges = `
local function expireLarges(key, upTo, prefix, ms)
  for _, set in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', upTo)) do redis.call('PEXPIRE', prefix .. set, ms) end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', upTo)
end
`

const prelude = format + isBroken + readHead

/**
 * KEYS head, log, larges. ARGV incarnation or '', expected revision or '', incarnation if new, channel, mark, seen
 * incarnation, seen revision, seen mark, prefix of the keys of large entries, then for each entry its update's bytes, its
 * record, and the set and number of its chunks, or '' and 0.
 * Gives `ok` incarnation first last, `lost` when chunks are missing, or `refused`/`broken` incarnation revision
 * deletedAtMs continues.
 */
export const appendScript = script(
  3,
  `${prelude}
local head = readHead(KEYS[1])
if head.deletedAtMs then return describe('refused', head) end
if isBroken(KEYS[2], head, ARGV[6], ARGV[7], ARGV[8]) then return describe('broken', head) end
if ARGV[1] ~= '' and ARGV[1] ~= head.incarnation then return describe('refused', head) end
if ARGV[2] ~= '' and tonumber(ARGV[2]) ~= head.revision then return describe('refused', head) end
for i = 10, #ARGV, 4 do
  if ARGV[i + 2] ~= '' and redis.call('HLEN', ARGV[9] .. ARGV[i + 2]) ~= tonumber(ARGV[i + 3]) then return { 'lost' } end
end
local revision, offset = head.revision, head['end']
for i = 10, #ARGV, 4 do
  revision = revision + 1
  if ARGV[i + 2] == '' then
    redis.call('XADD', KEYS[2], int(revision) .. '-0', 'm', ARGV[5], 'o', int(offset), 'e', ARGV[i + 1])
  else
    redis.call('XADD', KEYS[2], int(revision) .. '-0', 'm', ARGV[5], 'o', int(offset), 'e', ARGV[i + 1], 'l', ARGV[i])
    redis.call('PERSIST', ARGV[9] .. ARGV[i + 2])
    redis.call('ZADD', KEYS[3], int(revision), ARGV[i + 2])
  end
  offset = offset + tonumber(ARGV[i])
end
local incarnation = head.incarnation or ARGV[3]
redis.call('HSET', KEYS[1], 'incarnation', incarnation, 'revision', int(revision), 'end', int(offset), 'mark', ARGV[5])
redis.call('PUBLISH', ARGV[4], ARGV[5] .. ' ' .. incarnation .. ' ' .. int(revision))
return { 'ok', incarnation, int(head.revision + 1), int(revision) }`,
)

/**
 * KEYS head, log. ARGV after, last revision or '', most bytes, seen incarnation, seen revision, seen mark.
 * Gives `absent`, `deleted`, `broken` incarnation, or `open` incarnation revision first continues, then [id, mark,
 * record]…: at least one entry if there is one, and more until the bytes are exceeded.
 */
export const tailScript = script(
  2,
  `${prelude}
local head = readHead(KEYS[1])
if not head.incarnation then return { 'absent' } end
if head.deletedAtMs then return { 'deleted' } end
if isBroken(KEYS[2], head, ARGV[4], ARGV[5], ARGV[6]) then return { 'broken', head.incarnation } end
local result = { 'open', head.incarnation, int(head.revision), int(head.first), head.continues }
local from, to = tonumber(ARGV[1]) + 1, head.revision
if ARGV[2] ~= '' then to = math.min(to, tonumber(ARGV[2])) end
local bytes, count, most = 0, 4, tonumber(ARGV[3])
while from <= to and bytes < most do
  local entries = redis.call('XRANGE', KEYS[2], int(from) .. '-0', int(to) .. '-0', 'COUNT', count)
  if #entries == 0 then break end
  for _, entry in ipairs(entries) do
    bytes = bytes + #entry[2][6] + tonumber(entry[2][8] or '0') + 100
    result[#result + 1] = { entry[1], entry[2][2], entry[2][6] }
  end
  from = tonumber(string.match(entries[#entries][1], '^%d+')) + 1
  count = math.min(count * 2, 64)
end
return result`,
)

/** KEYS head, log. ARGV incarnation, channel. Gives `ok`, or `exists`. */
export const createScript = script(
  2,
  `${prelude}
local head = readHead(KEYS[1])
if head.incarnation and not head.deletedAtMs then return { 'exists' } end
redis.call('UNLINK', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], 'incarnation', ARGV[1], 'revision', '0', 'end', '0', 'mark', '')
redis.call('PUBLISH', ARGV[2], '- ' .. ARGV[1] .. ' 0')
return { 'ok' }`,
)

/**
 * KEYS head, log, larges. ARGV incarnation or '', expected revision or '', time, channel, prefix of the state's keys, how
 * long readers may still need chunks, seen incarnation, seen revision, seen mark, prefix of the keys of large entries. Gives `ok`, `none` when there is nothing to
 * delete, or as `appendScript` `refused`/`broken`, the latter only where a condition is to be held against the head.
 */
export const deleteScript = script(
  3,
  `${prelude}${expireLarges}
local head = readHead(KEYS[1])
local conditional = ARGV[1] ~= '' or ARGV[2] ~= ''
if conditional and not head.deletedAtMs and isBroken(KEYS[2], head, ARGV[7], ARGV[8], ARGV[9]) then return describe('broken', head) end
if ARGV[1] ~= '' and ARGV[1] ~= head.incarnation then return describe('refused', head) end
if ARGV[2] ~= '' and tonumber(ARGV[2]) ~= head.revision then return describe('refused', head) end
if not head.incarnation or head.deletedAtMs then return { 'none' } end
redis.call('UNLINK', KEYS[2])
expireLarges(KEYS[3], '+inf', ARGV[10], ARGV[6])
if head.set then redis.call('PEXPIRE', ARGV[5] .. head.set, ARGV[6]) end
redis.call('UNLINK', KEYS[1])
redis.call('HSET', KEYS[1], 'incarnation', head.incarnation, 'revision', int(head.revision), 'deletedAtMs', ARGV[3])
redis.call('PUBLISH', ARGV[4], '- - 0')
return { 'ok' }`,
)

/**
 * KEYS head, state. ARGV revision, incarnation, set, chunks, bytes, end, prefix of the states' keys, how long readers may
 * still need the state before. Gives `ok`, `older`, `lost` when chunks are missing, or `refused` incarnation revision deletedAtMs.
 */
export const checkpointScript = script(
  2,
  `${prelude}
local head = readHead(KEYS[1])
local revision = tonumber(ARGV[1])
if head.set == ARGV[3] then return { 'ok' } end
if not head.incarnation or head.deletedAtMs or head.incarnation ~= ARGV[2] or revision > head.revision then
  redis.call('UNLINK', KEYS[2])
  return describe('refused', head)
end
if revision <= head.checkpoint then
  redis.call('UNLINK', KEYS[2])
  return { 'older' }
end
if redis.call('HLEN', KEYS[2]) ~= tonumber(ARGV[4]) + 1 then return { 'lost' } end
redis.call('PERSIST', KEYS[2])
redis.call('HSET', KEYS[1], 'checkpoint', ARGV[1], 'checkpointSet', ARGV[3], 'checkpointBytes', ARGV[5], 'checkpointEnd', ARGV[6])
if head.set then redis.call('PEXPIRE', ARGV[7] .. head.set, ARGV[8]) end
return { 'ok' }`,
)

/**
 * KEYS head, log, larges. ARGV incarnation, revision up to which entries can go, prefix of the keys of large entries, how
 * long readers may still need chunks. Never beyond the checkpoint.
 */
export const trimScript = script(
  3,
  `${prelude}${expireLarges}
local head = readHead(KEYS[1])
local cut = math.min(tonumber(ARGV[2]), head.checkpoint)
if head.incarnation ~= ARGV[1] or head.deletedAtMs or cut < head.first then return { 'none' } end
redis.call('XTRIM', KEYS[2], 'MINID', '=', int(cut + 1) .. '-0')
expireLarges(KEYS[3], int(cut), ARGV[3], ARGV[4])
redis.call('HSET', KEYS[1], 'first', int(cut + 1))
return { 'ok' }`,
)

/** KEYS head. ARGV the incarnation that is broken, a new one, channel. */
export const renewScript = script(
  1,
  `${prelude}
local head = readHead(KEYS[1])
if head.incarnation ~= ARGV[1] or head.deletedAtMs then return { 'none' } end
redis.call('HSET', KEYS[1], 'incarnation', ARGV[2], 'continues', ARGV[1])
redis.call('PUBLISH', ARGV[3], '- ' .. ARGV[2] .. ' ' .. int(head.revision))
return { 'ok' }`,
)
