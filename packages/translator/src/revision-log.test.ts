import { IdSet } from '@polyphony/core'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { RevisionLog, increments } from './revision-log.ts'
import { Version, parseVersion } from './version.ts'
import { JsonView } from './view.ts'

/** What a server does: every committed update is applied, then recorded. */
class Replica {
  readonly doc = new Y.Doc({ gc: false })
  readonly log: RevisionLog
  readonly view: JsonView

  constructor(base?: Uint8Array, revision = 0) {
    if (base !== undefined) Y.applyUpdate(this.doc, base)
    this.log = RevisionLog.startingAt(revision, this.doc)
    this.view = new JsonView(this.doc, { log: this.log })
  }

  commit(updates: readonly Uint8Array[]): void {
    this.doc.transact(() => {
      for (const update of updates) Y.applyUpdate(this.doc, update)
    })
    for (const update of updates) {
      const { clocks, deletes } = increments(update)
      this.log.record(this.log.revision + 1, clocks, deletes)
    }
  }
}

describe('RevisionLog', () => {
  it('gives the same versions however the entries are batched, implied deletions included', () => {
    // Two people write the same key at once, with nested content: the loser is deleted by no update.
    const [a, b] = [new Y.Doc(), new Y.Doc()]
    a.clientID = 1
    b.clientID = 2
    const updates: Uint8Array[] = []
    for (const doc of [a, b])
      doc.on('update', (update: Uint8Array, origin) => origin !== 'sync' && updates.push(update))
    const write = (doc: Y.Doc, n: number): void => {
      doc.getMap('state').set(
        'k',
        new Y.Map([
          ['n', n],
          ['l', Y.Array.from([n, n])],
        ] as [string, unknown][]),
      )
    }
    write(a, 1)
    write(b, 2)
    write(a, 3)
    for (const [to, from] of [
      [a, b],
      [b, a],
    ] as const)
      Y.applyUpdate(to, Y.encodeStateAsUpdate(from), 'sync')
    a.getMap('state').delete('k')
    b.getMap('state').set('other', 1)

    const single = new Replica()
    const states = [single.view.read()]
    for (const update of updates) {
      single.commit([update])
      states.push(structuredClone(single.view.read()))
    }
    const batched = new Replica()
    batched.commit(updates.slice(0, 3))
    batched.commit(updates.slice(3))
    const rebuilt = new Replica()
    rebuilt.commit(updates)
    const resumed = new Replica(Y.mergeUpdates(updates.slice(0, 2)), 2)
    resumed.commit(updates.slice(2))
    for (const replica of [single, batched, rebuilt, resumed]) {
      for (const [revision, state] of states.entries()) {
        if (revision < replica.log.oldest) continue
        expect(replica.view.read({ at: new Version(revision) })).toEqual(state)
      }
      expect(replica.view.version.revision).toBe(updates.length)
    }
  })

  it('leaves out what a client repeats', () => {
    const doc = new Y.Doc()
    const list = doc.getArray('l')
    list.push([1, 2, 3])
    const log = new RevisionLog()
    const first = increments(Y.encodeStateAsUpdate(doc))
    log.record(1, first.clocks, first.deletes)
    list.delete(0)
    const all = increments(Y.encodeStateAsUpdate(doc))
    log.record(2, all.clocks, all.deletes)
    log.record(3, all.clocks, all.deletes)
    expect(log.entries.map(({ clocks, deletes }) => [clocks.size, deletes.size])).toEqual([
      [1, 0],
      [0, 1],
      [0, 0],
    ])
  })

  it('takes what was deleted before it began from the document', () => {
    const doc = new Y.Doc({ gc: false })
    doc.getMap('state').set('l', Y.Array.from([1, 2, 3]))
    ;(doc.getMap('state').get('l') as Y.Array<number>).delete(1)
    const log = new RevisionLog({
      revision: 7,
      stateVector: Y.decodeStateVector(Y.encodeStateVector(doc)),
    })
    const view = new JsonView(doc, { log })
    const at = view.version
    doc.getMap('state').set('x', 1)
    log.record(8, new Map([[doc.clientID, Y.getState(doc.store, doc.clientID)]]), new IdSet())
    expect(view.read({ at })).toEqual({ l: [1, 3] })
    expect(view.diff(at)).toEqual([{ op: 'add', path: '/x', value: 1 }])
  })

  it('refuses versions before and after what it knows', () => {
    const doc = new Y.Doc()
    const log = new RevisionLog({ revision: 5 })
    const code = (revision: number): unknown => {
      try {
        return log.moment(new Version(revision), doc, false).isLive
      } catch (error) {
        return (error as { code: string }).code
      }
    }
    expect([4, 5, 6].map(code)).toEqual(['revision-expired', true, 'invalid-request'])
  })

  it('a version from outside that claims impossible ids costs and changes nothing', () => {
    const doc = new Y.Doc({ gc: false })
    doc.clientID = 9
    const view = new JsonView(doc)
    view.assign({ l: [1, 2, 3] })
    const ids = new IdSet()
    ids.add(9, 0, 2 ** 52)
    ids.add(77, 5, 2 ** 52)
    const at = parseVersion(new Version(0, { inserted: ids, deleted: ids }).toString())
    expect(view.read({ at })).toEqual({ l: [1, 2, 3] })
    const { version } = view.apply([{ op: 'add', path: '/l/-', value: 4 }], { at })
    expect(view.read({ at: version })).toEqual({ l: [1, 2, 3, 4] })
    expect(view.read()).toEqual({ l: [1, 2, 3, 4] })
  })

  it('patches that are not recorded yet are seen by later patches of now, not by those of a version', () => {
    const { doc, log, view } = new Replica()
    doc.clientID = 9
    const at = view.version
    const first = view.apply([{ op: 'add', path: '/a', value: [1] }])
    const second = view.apply([{ op: 'add', path: '/a/1', value: 2 }])
    expect(() => view.apply([{ op: 'test', path: '/a', value: [1, 2] }])).not.toThrow()
    expect(() => view.apply([{ op: 'test', path: '/a', value: [1, 2] }], { at })).toThrow()
    expect(view.read({ at: first.version })).toEqual({ a: [1] })
    expect(view.read({ at: second.version })).toEqual({ a: [1, 2] })
    const clocks = (end: number): Map<number, number> => new Map([[9, end]])
    log.record(1, clocks(2), new IdSet())
    log.record(2, clocks(Y.getState(doc.store, 9)), new IdSet())
    expect(view.read({ at: first.version })).toEqual({ a: [1] })
    expect(view.read({ at: new Version(1) })).toEqual({ a: [1] })
    expect(view.diff(second.version)).toEqual([])
  })
})
