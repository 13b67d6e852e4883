import { PolyphonyError, resolveLimits, type Clock } from '@polyphony/core'
import { MemoryStore, type DocumentStore } from '@polyphony/storage'
import { seed } from '@polyphony/translator'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { DocumentImporter, type DocumentImporterOptions, type Outcome } from './document-importer.ts'
import { integratedState } from './integrated-state.ts'
import { readStoredDocument } from './stored-document.ts'

/** Time that passes as soon as somebody waits for it. */
const hastyClock: Clock = {
  now: () => 1_000,
  after(_ms, task) {
    queueMicrotask(task)
    return () => undefined
  },
}

function importer(store: DocumentStore, options: Partial<DocumentImporterOptions> = {}): DocumentImporter {
  return new DocumentImporter({
    store,
    clock: hastyClock,
    limits: resolveLimits(),
    dryRun: false,
    merge: false,
    verify: true,
    dropPending: false,
    ...options,
  })
}

function textDoc(text: string, base?: Y.Doc): Y.Doc {
  const doc = new Y.Doc()
  if (base !== undefined) Y.applyUpdate(doc, Y.encodeStateAsUpdate(base))
  doc.getText('t').insert(doc.getText('t').length, text)
  return doc
}

function bring(to: DocumentImporter, doc: Y.Doc, documentId = 'a'): Promise<Outcome> {
  return to.import({ documentId, state: integratedState(doc), layout: {} })
}

async function textIn(store: DocumentStore, documentId = 'a'): Promise<string | undefined> {
  return (await readStoredDocument(store, documentId))?.doc.getText('t').toJSON()
}

/** The store, with other methods in place of some of its own. */
function around(store: DocumentStore, methods: Partial<DocumentStore>): DocumentStore {
  return {
    capabilities: store.capabilities,
    append: (batch) => store.append(batch),
    read: (id, range) => store.read(id, range),
    checkpoint: (id, checkpoint) => store.checkpoint(id, checkpoint),
    head: (id) => store.head(id),
    list: (query) => store.list(query),
    create: (id) => store.create(id),
    delete: (id) => store.delete(id),
    close: () => store.close(),
    ...methods,
  }
}

/** Counts appends, reads, heads and checkpoints; the nth of them fails, before or after it took effect. */
class Faults {
  calls = 0
  readonly store: DocumentStore

  constructor(store: DocumentStore, nth: number, when: 'before' | 'after') {
    const attempt = async <T>(call: () => Promise<T>): Promise<T> => {
      const isTheOne = ++this.calls === nth
      const failure = new PolyphonyError('store-failed', 'the store is out of order')
      if (isTheOne && when === 'before') throw failure
      const result = await call()
      if (isTheOne) throw failure
      return result
    }
    this.store = around(store, {
      head: (id) => attempt(() => store.head(id)),
      append: (batch) => attempt(() => store.append(batch)),
      checkpoint: (id, checkpoint) => attempt(() => store.checkpoint(id, checkpoint)),
      async *read(id, range) {
        await attempt(async () => undefined)
        yield* store.read(id, range)
      },
    })
  }
}

describe('DocumentImporter', () => {
  it('imports once; again it finds the document there', async () => {
    const store = new MemoryStore()
    const doc = textDoc('hello')
    expect(await bring(importer(store), doc)).toMatchObject({ kind: 'imported', verified: true })
    expect(await bring(importer(store), doc)).toMatchObject({ kind: 'present', verified: true })
    expect((await store.head('a'))?.revision).toBe(1)
    for await (const item of store.read('a')) expect(item).toMatchObject({ meta: { author: 'import' } })
    expect(await textIn(store)).toBe('hello')
  })

  it('takes a document with later edits for present', async () => {
    const store = new MemoryStore()
    const doc = textDoc('hello')
    await bring(importer(store), textDoc(' and more', doc))
    expect(await bring(importer(store), doc)).toMatchObject({ kind: 'present', verified: true })
    expect((await store.head('a'))?.revision).toBe(1)
  })

  it('leaves alone what differs, and adds to it only when told', async () => {
    const store = new MemoryStore()
    const base = textDoc('base')
    await bring(importer(store), textDoc(' here', base))
    const doc = textDoc(' there', base)
    expect(await bring(importer(store), doc)).toMatchObject({ kind: 'differs', verified: false })
    expect(await textIn(store)).toBe('base here')
    expect(await bring(importer(store, { merge: true, dryRun: true }), doc)).toMatchObject({ kind: 'merged' })
    expect((await store.head('a'))?.revision).toBe(1)
    expect(await bring(importer(store, { merge: true }), doc)).toMatchObject({
      kind: 'merged',
      verified: true,
    })
    expect(await textIn(store)).toMatch(/^base (here there|there here)$/)
    expect(await bring(importer(store), doc)).toMatchObject({ kind: 'present' })
  })

  it('notices the same ids with other content', async () => {
    const store = new MemoryStore()
    const [first, second] = ['one', 'two'].map((text) => {
      const doc = new Y.Doc()
      doc.clientID = 7
      doc.getText('t').insert(0, text)
      return doc
    }) as [Y.Doc, Y.Doc]
    await bring(importer(store), first)
    expect(await bring(importer(store), second)).toMatchObject({ kind: 'differs' })
  })

  it('fills a document that exists but is empty; an empty one comes into being', async () => {
    const store = new MemoryStore()
    await store.create('a')
    expect(await bring(importer(store), textDoc('hello'))).toMatchObject({ kind: 'imported' })
    expect(await textIn(store)).toBe('hello')
    expect(await bring(importer(store), new Y.Doc(), 'b')).toMatchObject({ kind: 'imported', verified: true })
    expect(await store.head('b')).toMatchObject({ revision: 0 })
    expect(await bring(importer(store), new Y.Doc(), 'b')).toMatchObject({ kind: 'present' })
  })

  it('writes nothing in a dry run', async () => {
    const store = new MemoryStore()
    expect(await bring(importer(store, { dryRun: true }), textDoc('x'))).toMatchObject({ kind: 'imported' })
    expect(await store.head('a')).toBeUndefined()
  })

  it('does not undo a deletion', async () => {
    const store = new MemoryStore()
    await store.create('a')
    await store.delete('a')
    await expect(bring(importer(store), textDoc('x'))).rejects.toMatchObject({ code: 'document-deleted' })
  })

  it('stores a checkpoint of a large document', async () => {
    const store = new MemoryStore()
    await bring(importer(store), textDoc('x'.repeat(2 << 20)))
    const kinds: string[] = []
    for await (const item of store.read('a')) kinds.push('state' in item ? 'checkpoint' : 'entry')
    expect(kinds).toEqual(['checkpoint'])
    expect((await textIn(store))?.length).toBe(2 << 20)
  })

  it('refuses what is too large, and what has lost edits unless told', async () => {
    const store = new MemoryStore()
    const small = importer(store, { limits: resolveLimits({ documentBytesMax: 10 }) })
    await expect(bring(small, textDoc('hello world'))).rejects.toMatchObject({ code: 'document-too-large' })
    const updates: Uint8Array[] = []
    const author = new Y.Doc()
    author.on('update', (update: Uint8Array) => updates.push(update))
    for (const letter of 'abc') author.getText('t').insert(author.getText('t').length, letter)
    const torn = (): Y.Doc => {
      const doc = new Y.Doc()
      for (const at of [0, 2]) Y.applyUpdate(doc, updates[at]!)
      return doc
    }
    await expect(bring(importer(store), torn())).rejects.toMatchObject({ code: 'invalid-update' })
    expect(await store.head('a')).toBeUndefined()
    const outcome = await bring(importer(store, { dropPending: true }), torn())
    expect(outcome).toMatchObject({ kind: 'imported', verified: true })
    expect(outcome.pendingBytes).toBeGreaterThan(0)
    expect(await textIn(store)).toBe('a')
  })

  it('gets through one failure of any call, and writes once', async () => {
    const doc = textDoc('x'.repeat(2 << 20))
    const whole = new Faults(new MemoryStore(), 0, 'before')
    await bring(importer(whole.store), doc)
    expect(whole.calls).toBeGreaterThan(4)
    for (let nth = 1; nth <= whole.calls; nth++) {
      for (const when of ['before', 'after'] as const) {
        const store = new MemoryStore()
        const outcome = await bring(importer(new Faults(store, nth, when).store), doc)
        expect(outcome, `call ${nth}, ${when}`).toMatchObject({ kind: 'imported', verified: true })
        expect((await store.head('a'))?.revision).toBe(1)
      }
    }
  })

  it('gives up on a store that keeps failing, with the error of the store', async () => {
    const store = new MemoryStore()
    await store.close()
    await expect(bring(importer(store), textDoc('x'))).rejects.toMatchObject({ code: 'store-closed' })
  })

  it('finds a store that gives back something else', async () => {
    const store = new MemoryStore()
    const append: DocumentStore['append'] = (batch) => {
      const entries = [{ update: seed({ other: 1 }), meta: { author: 'import', committedAtMs: 0 } }]
      return store.append(batch.map((each) => ({ ...each, entries })))
    }
    const forgetful = around(store, { append })
    await expect(bring(importer(forgetful), textDoc('x'))).rejects.toMatchObject({ code: 'store-corrupt' })
  })
})
