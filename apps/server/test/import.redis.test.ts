import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRedisStore } from '@polyphony/storage-redis'
import { startRedis, type RedisService } from '@polyphony/test-services'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import * as Y from 'yjs'
import { runCommand } from './support/command.ts'
import { levelStates, statesOf } from './support/stored.ts'
import { openRedisPersistence } from './support/y-redis.ts'

let redis: RedisService
let folder = ''
/** What the source has. */
const states = new Map<string, Uint8Array>()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'polyphony-import-'))
  redis = await startRedis()
  await fill()
})
afterAll(async () => {
  await redis.stop()
  await rm(folder, { recursive: true, force: true })
})

/** Two documents by the real package, edited while they are bound, and keys of somebody else. */
async function fill(): Promise<void> {
  const persistence = await openRedisPersistence(redis.url)
  for (const [name, edits] of [
    ['notes/a', 30],
    ['ünïcode:updates', 3],
  ] as const) {
    const doc = new Y.Doc()
    let updates = 0
    doc.on('update', () => updates++)
    await persistence.bindState(name, doc).synced
    for (let edit = 0; edit < edits; edit++) doc.getText('text').insert(0, `${edit} `)
    doc.getText('text').delete(0, 2)
    await vi.waitFor(async () => expect(await persistence.redis.llen(`${name}:updates`)).toBe(updates))
    states.set(name, Y.encodeStateAsUpdate(doc))
  }
  await persistence.redis.set('counter:updates', '12')
  await persistence.destroy()
}

describe('polyphony import from y-redis', () => {
  it('takes over what the package has written, into a directory', async () => {
    const store = join(folder, 'store')
    const args = ['import', '--from', `y-redis:${redis.url}`, '--store', `level:${store}`, '--verify']
    const ended = await runCommand(args)
    expect(ended).toMatchObject({ code: 0, err: '' })
    expect(ended.out).toContain('2 imported')
    expect(ended.out).toContain('2 read back and compared')
    expect(await levelStates(store)).toEqual(states)
    expect((await runCommand(args)).out).toContain('2 there already')
  })

  it('takes it over into the same Redis, and only reads the source', async () => {
    const args = [
      'import',
      '--from',
      `y-redis:${redis.url}`,
      '--store',
      redis.url,
      '--verify',
      '--prefix',
      'p/',
    ]
    expect(await runCommand([...args, '--dry-run'])).toMatchObject({ code: 0 })
    const ended = await runCommand(args)
    expect(ended).toMatchObject({ code: 0, err: '' })
    expect(ended.out).toContain('2 imported')
    const store = await openRedisStore(redis.url)
    expect(await statesOf(store)).toEqual(new Map([...states].map(([name, state]) => [`p/${name}`, state])))
    await store.close()
    expect((await runCommand(args)).out).toContain('2 there already')
    const persistence = await openRedisPersistence(redis.url)
    expect(await persistence.redis.llen('notes/a:updates')).toBe(31)
    await persistence.destroy()
  })

  it('names a list that is none of a document, and imports the others', async () => {
    const persistence = await openRedisPersistence(redis.url)
    await persistence.redis.rpush('jobs:updates', 'not an update')
    await persistence.destroy()
    const ended = await runCommand([
      'import',
      '--from',
      `y-redis:${redis.url}`,
      '--store',
      `level:${folder}/jobs`,
    ])
    expect(ended.code).toBe(1)
    expect(ended.err).toMatch(/^polyphony: "jobs": .+\n$/)
    expect(ended.out).toContain('2 imported')
    expect(await levelStates(join(folder, 'jobs'))).toEqual(states)
  })

  it('says when Redis cannot be reached, and keeps passwords to itself', async () => {
    const store = `level:${join(folder, 'none')}`
    const gone = await runCommand([
      'import',
      '--from',
      'y-redis:redis://u:hush@127.0.0.1:1',
      '--store',
      store,
    ])
    expect(gone).toMatchObject({ code: 1, out: '' })
    expect(gone.err).toMatch(/^polyphony: The Redis at redis:.* cannot be used: .*ECONNREFUSED.*\n$/)
    const refused = await runCommand([
      'import',
      '--from',
      `y-redis:${redis.url}`,
      '--store',
      'redis://u:hush@127.0.0.1:1',
    ])
    expect(refused).toMatchObject({ code: 1, out: '' })
    expect(gone.err + refused.err).not.toContain('hush')
  })
})
