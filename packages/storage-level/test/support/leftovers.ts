import type { Level } from 'level'

/**
 * What an open database still holds although no document refers to it: chunks that neither a head nor a large entry names,
 * entries below what is retained, trash. Nothing, once a store has cleared up.
 */
export async function findLeftovers(level: Level<unknown, unknown>): Promise<readonly string[]> {
  const byTag = new Map<string, [Buffer, Buffer][]>()
  for await (const [key, value] of level.iterator<Buffer, Buffer>({
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
  })) {
    const tag = String.fromCharCode(key[0] ?? 0)
    byTag.set(tag, [...(byTag.get(tag) ?? []), [key, value]])
  }
  const used = new Set<string>()
  const logs = new Map<string, { first: number; last: number }>()
  for (const [key, value] of byTag.get('d') ?? []) {
    // The record's header has 6 bytes; then flags, incarnation, revision, endOffset, first, and of a checkpoint the set.
    const deleted = value[6] === 1
    const id = key.subarray(1).toString('hex') + value.subarray(7, 15).toString('hex')
    if (!deleted) logs.set(id, { first: value.readDoubleLE(31), last: value.readDoubleLE(15) })
    if (value[6] === 2) used.add(value.subarray(63, 71).toString('hex'))
  }
  const isInLog = (key: Buffer) => {
    const log = logs.get(key.subarray(1, -8).toString('hex'))
    const revision = Number(key.readBigUInt64BE(key.length - 8))
    return log !== undefined && revision >= log.first && revision <= log.last
  }
  for (const [key, value] of byTag.get('l') ?? []) if (isInLog(key)) used.add(value.toString('hex'))
  return [
    ...(byTag.get('t') ?? []).map(([key]) => `trash ${key.toString('latin1')}`),
    ...(byTag.get('e') ?? [])
      .filter(([key]) => !isInLog(key))
      .map(([key]) => `entry ${key.toString('latin1')}`),
    ...(byTag.get('l') ?? [])
      .filter(([key]) => !isInLog(key))
      .map(([key]) => `large ${key.toString('latin1')}`),
    ...(byTag.get('k') ?? [])
      .filter(([key]) => !used.has(key.subarray(1, 9).toString('hex')))
      .map(([key]) => `chunk ${key.subarray(1).toString('hex')}`),
  ]
}
