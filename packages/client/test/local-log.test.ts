import { PolyphonyError, silentLogger, systemRandom } from '@polyphony/core'
import { MemoryDisk, MemoryStore, type DocumentStore } from '@polyphony/storage'
import { faulty, seededFaults } from '@polyphony/storage/testing'
import { describe, expect, it, vi } from 'vitest'
import * as Y from 'yjs'
import { LocalLog, type RecordKind } from '../src/local-log.ts'
import { fastClock } from './support/server.ts'

/** A document whose updates all go into a log, as edits. */
function createWriter(store: DocumentStore) {
  const doc = new Y.Doc()
  const changed = vi.fn()
  const log = new LocalLog({
    store,
    id: 'plan',
    clock: fastClock,
    random: systemRandom,
    logger: silentLogger,
    changed,
    checkpointEntries: 10,
    subject: {
      snapshot: () => ({ state: Y.encodeStateAsUpdate(doc), stateVector: Y.encodeStateVector(doc) }),
      pendingUpdate: () => undefined,
    },
  })
  doc.on('update', (update) => log.record('edit', update))
  return { doc, log, changed }
}

async function read(store: DocumentStore): Promise<{ doc: Y.Doc; kinds: RecordKind[]; log: LocalLog }> {
  const { log } = createWriter(store)
  const doc = new Y.Doc()
  const kinds: RecordKind[] = []
  await log.load((kind, update) => {
    kinds.push(kind)
    Y.applyUpdate(doc, update)
  })
  return { doc, kinds, log }
}

describe('LocalLog', () => {
  it('has everything, whatever the store does now and then', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const disk = new MemoryDisk()
      const inner = new MemoryStore({ disk, retention: { entries: 0, bytes: 0, ageMs: 0 } })
      const { doc, log } = createWriter(faulty(inner, seededFaults(seed, { probability: 0.3 })))
      for (let n = 0; n < 60; n++) {
        doc.getMap('state').set(`key ${n % 7}`, n)
        if (n % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      await new Promise<void>((resolve) => log.whenDurable(resolve))
      expect(log.isSaved).toBe(true)
      const { doc: stored } = await read(new MemoryStore({ disk }))
      expect(stored.getMap('state').toJSON()).toEqual(doc.getMap('state').toJSON())
      expect(disk.documents.get('plan')?.entries.length).toBeLessThan(60)
      await log.close()
    }
  })

  it('gives back what can be read of a damaged log, says so, and leaves it alone', async () => {
    const disk = new MemoryDisk()
    const writer = createWriter(new MemoryStore({ disk }))
    writer.doc.getMap('state').set('a', 1)
    await new Promise<void>((resolve) => writer.log.whenDurable(resolve))
    writer.doc.getMap('state').set('b', 2)
    await new Promise<void>((resolve) => writer.log.whenDurable(resolve))
    class DamagedStore extends MemoryStore {
      override async *read(documentId: string) {
        let count = 0
        for await (const item of super.read(documentId)) {
          if (count++ === 1)
            throw new PolyphonyError('store-corrupt', 'Revision 2 does not match its checksum.')
          yield item
        }
      }
    }
    const { doc, log } = await read(new DamagedStore({ disk }))
    expect(doc.getMap('state').toJSON()).toEqual({ a: 1 })
    expect(log.error).toMatchObject({ code: 'store-corrupt' })
    expect(log.hasGivenUp).toBe(true)
    log.record('edit', Y.encodeStateAsUpdate(doc))
    await log.close()
    expect(log.isSaved).toBe(false)
    expect(disk.documents.get('plan')?.revision).toBe(2)
  })

  it('writes what waits when it is closed', async () => {
    const disk = new MemoryDisk()
    const { doc, log } = createWriter(new MemoryStore({ disk }))
    doc.getMap('state').set('a', 1)
    await log.close()
    const { doc: stored, kinds } = await read(new MemoryStore({ disk }))
    expect(stored.getMap('state').toJSON()).toEqual({ a: 1 })
    expect(kinds).toEqual(['edit'])
  })
})
