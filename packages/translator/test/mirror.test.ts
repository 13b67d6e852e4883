import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { JsonMirror, JsonView, map, text, xml } from '../src/index.ts'
import { canonical, isObject, type Json } from './oracle/json.ts'
import { projectDoc } from './oracle/project.ts'
import { Rng } from './oracle/rng.ts'
import { runs } from './oracle/runs.ts'
import { open } from './oracle/scene.ts'
import { World } from './oracle/world.ts'

describe('a mirror', () => {
  it('always equals the projection, never changes what it gave out, and shares what did not change', () => {
    let shared = 0
    fc.assert(
      fc.property(fc.noShrink(fc.nat()), fc.integer({ min: 1, max: 60 }), (seed, steps) => {
        const rng = new Rng(seed)
        const doc = new Y.Doc({ gc: rng.chance(0.5) })
        const mounts = { '': map('state'), '/text': text('text'), '/document': xml('prosemirror') }
        const view = new JsonView(doc, { mounts })
        const mirror = new JsonMirror(view)
        const listened = rng.chance(0.5)
        let events = 0
        const stop = mirror.on('change', () => {
          events += 1
        })
        if (!listened) stop()
        const world = new World(rng, { exotic: true, text: true, rich: true, xml: true }, doc)
        let before = mirror.value as { [key: string]: Json }
        let version = mirror.version
        for (let i = 0; i < steps; i++) {
          freeze(before)
          world.step()
          if (rng.chance(0.3)) continue
          const now = mirror.value as { [key: string]: Json }
          expect(canonical(now)).toBe(
            canonical(
              projectDoc(doc, {
                '/text': doc.getText('text'),
                '/document': doc.getXmlFragment('prosemirror'),
              }),
            ),
          )
          expect(mirror.value).toBe(now)
          const patch = view.diff(version)
          // Who listens has seen what was there in between, too, so the net change tells nothing about identity.
          if (!listened && patch.length === 0) expect(now).toBe(before)
          const touched = new Set(patch.map(({ path }) => path.split('/')[1]))
          for (const [key, value] of Object.entries(before)) {
            const token = key.replaceAll('~', '~0').replaceAll('/', '~1')
            if (listened || touched.has(token) || !isObject(value)) continue
            expect(now[key]).toBe(value)
            shared += 1
          }
          before = now
          version = mirror.version
        }
        if (!listened) expect(events).toBe(0)
        mirror.destroy()
        view.destroy()
      }),
      { seed: 71, numRuns: runs(60) },
    )
    expect(shared).toBeGreaterThan(100)
  })

  it('keeps the identity of every record but the one that changed', () => {
    const records = Array.from({ length: 5_000 }, (_, n) => ({ n, tags: ['a'], inner: { deep: [n] } }))
    const scene = open({ records, other: { x: 1 } })
    const mirror = new JsonMirror(scene.view)
    const before = mirror.value as unknown as { records: typeof records; other: object }
    ;(scene.array('records').get(2_500) as Y.Map<unknown>).set('n', -1)
    scene.array('records').delete(10)
    const after = mirror.value as unknown as typeof before
    expect(after).not.toBe(before)
    expect(after.other).toBe(before.other)
    expect(after.records).toHaveLength(4_999)
    const old = new Set<unknown>(before.records)
    expect(after.records.filter((record) => !old.has(record))).toEqual([after.records[2_499]])
    expect(after.records[2_499]?.inner).toBe(before.records[2_500]?.inner)
    expect(before.records[2_500]?.n).toBe(2_500)
    mirror.destroy()
  })

  it('tells its listeners once per change, and nobody after it was destroyed', () => {
    const scene = open({ a: 1 })
    const mirror = new JsonMirror(scene.view)
    const seen: unknown[] = []
    mirror.on('change', ({ value }) => seen.push(value))
    scene.state.set('a', 2)
    scene.doc.transact(() => {
      scene.state.set('a', 3)
      scene.state.set('b', 1)
    })
    scene.doc.transact(() => {})
    expect(seen).toEqual([{ a: 2 }, { a: 3, b: 1 }])
    mirror.destroy()
    scene.state.set('a', 4)
    expect(seen).toHaveLength(2)
  })

  it('that nobody read for longer than versions are retained is right all the same', () => {
    const scene = open({ a: 0 }, { retain: { versions: 3 } })
    const mirror = new JsonMirror(scene.view)
    for (let i = 1; i <= 20; i++) scene.state.set('a', i)
    expect(mirror.value).toEqual({ a: 20 })
  })
})

function freeze(value: Json): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return
  Object.freeze(value)
  for (const part of Object.values(value)) freeze(part)
}
