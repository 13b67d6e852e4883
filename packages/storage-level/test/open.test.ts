import { spawn } from 'node:child_process'
import { cp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { join } from 'node:path'
import { silentLogger } from '@polyphony/core'
import { openLevelStore } from '@polyphony/storage-level'
import { encrypted, generateKeyLine, parseKeyRing } from '@polyphony/storage/node'
import { appendTo, readAll, readTexts, sampleEntries, sampleEntry } from '@polyphony/storage/testing'
import { Level } from 'level'
import { beforeAll, describe, expect, it } from 'vitest'
import { acquireBrowserLock } from '../src/browser-lock.ts'
import { LevelDatabase } from '../src/level-database.ts'
import { placeOf } from '../src/place.ts'
import { beginSession } from '../src/session.ts'
import { buildPackage, childScript } from './support/build.ts'
import { withTemporaryDirectory } from './support/temporary-directory.ts'

beforeAll(buildPackage)

describe('opening', () => {
  it('makes the directory, and says clearly when the database is open elsewhere', async () => {
    await withTemporaryDirectory(async (parent) => {
      const directory = join(parent, 'not', 'yet', 'there')
      const store = await openLevelStore(directory)
      await expect(openLevelStore(directory)).rejects.toMatchObject({
        code: 'store-locked',
        message: expect.stringContaining('already open'),
      })
      await store.close()
      const child = spawn(
        process.execPath,
        [childScript('sequential-edits.mjs'), directory, '1000000', 'fsync'],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      )
      await once(child.stdout, 'data')
      await expect(openLevelStore(directory)).rejects.toMatchObject({ code: 'store-locked' })
      child.kill('SIGKILL')
      await once(child, 'close')
      const again = await openLevelStore(directory)
      await again.close()
    })
  })

  it('says so when the place is no directory', async () => {
    await withTemporaryDirectory(async (parent) => {
      const path = join(parent, 'file')
      await writeFile(path, 'x')
      await expect(openLevelStore(path)).rejects.toMatchObject({ code: 'store-failed' })
    })
  })

  it('refuses a layout that it does not know', async () => {
    await withTemporaryDirectory(async (directory) => {
      const { sealRecord } = await import('@polyphony/storage')
      const level = new Level<Uint8Array, Uint8Array>(directory, {
        keyEncoding: 'view',
        valueEncoding: 'view',
      })
      const key = new TextEncoder().encode('msession')
      const session = { layout: 2, fsync: true, closed: true, generation: 0 }
      await level.put(key, sealRecord(18, key, [new TextEncoder().encode(JSON.stringify(session))]))
      await level.close()
      await expect(openLevelStore(directory)).rejects.toMatchObject({
        message: expect.stringContaining('layout 2'),
      })
    })
  })

  it('on a database that the caller made', async () => {
    await withTemporaryDirectory(async (directory) => {
      const level = new Level<unknown, unknown>(directory)
      const store = await openLevelStore(level)
      await appendTo(store, 'doc', sampleEntries(2))
      await store.close()
      expect(level.status).toBe('closed')
    })
  })
})

describe('incarnations', () => {
  /** Ends as a process does that is killed: nothing is written any more. */
  async function abandon(level: Level<unknown, unknown>): Promise<void> {
    await level.close()
  }

  it('with fsync, stay through a kill', async () => {
    await withTemporaryDirectory(async (directory) => {
      const level = new Level<unknown, unknown>(directory)
      const { incarnation } = await appendTo(await openLevelStore(level), 'doc', sampleEntries(2))
      await abandon(level)
      const store = await openLevelStore(directory)
      expect((await store.head('doc'))?.incarnation).toBe(incarnation)
      await store.close()
    })
  })

  it('without fsync, are new after a kill, for the end of a log may be lost; not after a proper close', async () => {
    await withTemporaryDirectory(async (directory) => {
      const keys = parseKeyRing(generateKeyLine('k'))
      const level = new Level<unknown, unknown>(directory)
      const first = encrypted(await openLevelStore(level, { fsync: false }), keys)
      const { incarnation } = await appendTo(first, 'doc', sampleEntries(2, 'a'))
      await abandon(level)

      const second = encrypted(await openLevelStore(directory, { fsync: false }), keys)
      const head = await second.head('doc')
      expect(head?.incarnation).not.toBe(incarnation)
      const [refused] = await second.append([{ documentId: 'doc', entries: [sampleEntry('x')], incarnation }])
      expect(refused).toMatchObject({ ok: false, error: { code: 'incarnation-mismatch' } })
      await appendTo(second, 'doc', sampleEntries(1, 'b'), { incarnation: head?.incarnation })
      await second.close()

      const third = encrypted(await openLevelStore(directory), keys)
      expect(await third.head('doc')).toMatchObject({ incarnation: head?.incarnation, revision: 3 })
      // What was written in an earlier incarnation is still read.
      expect(await readTexts(third, 'doc')).toEqual(['a1', 'a2', 'b1'])
      await third.close()
    })
  })
})

describe('a directory that is put back to what it was', () => {
  /** Five entries, then a copy, then five more that the copy does not have. */
  async function prepare(parent: string) {
    const [data, copy] = [join(parent, 'data'), join(parent, 'copy')]
    const store = await openLevelStore(data)
    const { incarnation } = await appendTo(store, 'doc', sampleEntries(5, 'kept'))
    await store.close()
    await cp(data, copy, { recursive: true, preserveTimestamps: true })
    const later = await openLevelStore(data)
    expect((await appendTo(later, 'doc', sampleEntries(5, 'lost'))).incarnation).toBe(incarnation)
    await later.close()
    return { data, copy, incarnation }
  }

  const ways: Record<string, (data: string, copy: string) => Promise<unknown>> = {
    'copied in place of the old one': async (data, copy) => {
      await rm(data, { recursive: true })
      await cp(copy, data, { recursive: true, preserveTimestamps: true })
    },
    'file by file': async (data, copy) => {
      for (const name of await readdir(data)) await rm(join(data, name))
      await cp(copy, data, { recursive: true, preserveTimestamps: true })
    },
    moved: async (data, copy) => {
      await rm(data, { recursive: true })
      await rename(copy, data)
    },
    'without the file that tells it from others': async (data, copy) => {
      await rm(data, { recursive: true })
      await rename(copy, data)
      await rm(join(data, 'PLACE'))
    },
  }

  it.each(Object.entries(ways))('has new incarnations: %s', async (_name, putBack) => {
    await withTemporaryDirectory(async (parent) => {
      const { data, copy, incarnation } = await prepare(parent)
      await putBack(data, copy)
      const store = await openLevelStore(data)
      const head = await store.head('doc')
      expect(head?.revision).toBe(5)
      expect(head?.incarnation).not.toBe(incarnation)
      const stale = { documentId: 'doc', entries: [sampleEntry('x')], incarnation }
      expect((await store.append([stale]))[0]).toMatchObject({ error: { code: 'incarnation-mismatch' } })
      expect((await appendTo(store, 'doc', sampleEntries(1, 'new'))).incarnation).toBe(head?.incarnation)
      await store.close()
      const again = await openLevelStore(data)
      expect((await again.head('doc'))?.incarnation).toBe(head?.incarnation)
      expect((await readTexts(again, 'doc')).length).toBe(6)
      await again.close()
    })
  })

  it('keeps its incarnations when it is moved, and when an opening breaks off at any step', async () => {
    await withTemporaryDirectory(async (parent) => {
      const { data, incarnation } = await prepare(parent)
      const moved = join(parent, 'moved')
      await rename(data, moved)
      const place = placeOf(moved)
      // As far as an opening comes before it has written its record.
      await place.prepare()
      const store = await openLevelStore(moved)
      expect((await store.head('doc'))?.incarnation).toBe(incarnation)
      const found = await place.find()
      await store.close()
      // As if the file had not been replaced: the one before is known as well.
      const level = new Level<unknown, unknown>(moved)
      const database = new LevelDatabase(level, silentLogger)
      await database.open()
      const interrupted = {
        find: () => place.find(),
        prepare: async () => ({ identity: 'x', commit: async () => undefined }),
      }
      await beginSession(database, { fsync: true, place: interrupted, logger: silentLogger })
      await database.close()
      expect(await place.find()).toBe(found)
      const again = await openLevelStore(moved)
      expect((await again.head('doc'))?.incarnation).toBe(incarnation)
      await again.close()
    })
  })
})

describe('group commit', () => {
  async function countingWrites(directory: string) {
    const level = new Level<unknown, unknown>(directory)
    const counter = { writes: 0 }
    const write = level.batch.bind(level) as (...args: unknown[]) => Promise<void>
    Object.defineProperty(level, 'batch', {
      value: (...args: unknown[]) => {
        counter.writes++
        return write(...args)
      },
    })
    return { store: await openLevelStore(level), counter }
  }

  it('writes what arrives while a write is under way in one batch', async () => {
    await withTemporaryDirectory(async (directory) => {
      const { store, counter } = await countingWrites(directory)
      counter.writes = 0
      await Promise.all(
        Array.from({ length: 1000 }, (_, index) => appendTo(store, `doc${index % 50}`, sampleEntries(1))),
      )
      expect(counter.writes).toBeLessThanOrEqual(2)
      await store.close()
    })
  })

  it('lets an append wait for at most one chunk of a checkpoint', async () => {
    await withTemporaryDirectory(async (directory) => {
      const { store, counter } = await countingWrites(directory)
      await appendTo(store, 'doc', sampleEntries(1))
      const waits: number[] = []
      async function* state(): AsyncIterable<Uint8Array> {
        for (let chunk = 0; chunk < 40; chunk++) {
          yield new Uint8Array(256 << 10).fill(chunk)
          const before = counter.writes
          void appendTo(store, 'doc', sampleEntries(1)).then(() => waits.push(counter.writes - before))
        }
      }
      await store.checkpoint('doc', { revision: 1, stateVector: new Uint8Array(), state: state() })
      await appendTo(store, 'doc', sampleEntries(1))
      expect(waits.length).toBe(40)
      // Its own write, and at most one that had begun and one chunk.
      expect(Math.max(...waits)).toBeLessThanOrEqual(3)
      expect((await readAll(store, 'doc')).entries.length).toBe(41)
      await store.close()
    })
  })
})

describe('the lock in browsers', () => {
  /** Web Locks, as far as they are used. */
  function webLocks() {
    const held = new Set<string>()
    return {
      async request(
        name: string,
        _options: unknown,
        callback: (lock: unknown) => Promise<void>,
      ): Promise<void> {
        if (held.has(name)) return await callback(null)
        held.add(name)
        await callback({ name })
        held.delete(name)
      },
    }
  }

  it('lets in one tab at a time', async () => {
    const locks = webLocks()
    const release = await acquireBrowserLock('notes', locks)
    await expect(acquireBrowserLock('notes', locks)).rejects.toMatchObject({ code: 'store-locked' })
    await acquireBrowserLock('other', locks)
    release()
    await new Promise((resolve) => setImmediate(resolve))
    await acquireBrowserLock('notes', locks)
  })
})
