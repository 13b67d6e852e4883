import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { JsonView, map, patched, text, xml, type SplicePatch } from '../src/index.ts'
import { canonical } from './oracle/json.ts'
import { Rng } from './oracle/rng.ts'
import { runs } from './oracle/runs.ts'
import { open } from './oracle/scene.ts'
import { World } from './oracle/world.ts'

const isSplice = ({ op }: { readonly op: string }): boolean => op === 'splice'

/** Edits with marks and embedded objects; `cuts` tells how likely they are to cut surrogate pairs. */
function editText(rng: Rng, target: Y.Text, cuts = 0): void {
  const value = target
    .toDelta()
    .map(({ insert }: { insert: unknown }) => (typeof insert === 'string' ? insert : '.'))
    .join('')
  const whole = (index: number): number => (cutsPair(value, index) && !rng.chance(cuts) ? index + 1 : index)
  const at = whole(rng.int(target.length + 1))
  const length = whole(at + rng.int(Math.min(8, target.length - at) + 1)) - at
  const dice = rng.next()
  if (dice < 0.5) target.insert(at, rng.pick(['a', 'bc', '😀', '👩‍👩‍👧', '\n', 'x'.repeat(20)]))
  else if (dice < 0.85) target.delete(at, length)
  else if (dice < 0.95) target.format(at, length, { bold: rng.chance(0.5) ? true : null })
  else target.insertEmbed(at, { image: 'x' })
}

function cutsPair(value: string, index: number): boolean {
  return /^[\uD800-\uDBFF][\uDC00-\uDFFF]$/.test(value.slice(index - 1, index + 1))
}

/** The operations one by one on a plain string; fails on what a splice must never do. */
function spliceText(before: string, patch: SplicePatch): string {
  let value = before
  for (const operation of patch) {
    if (operation.op !== 'splice') {
      value = 'value' in operation ? (operation.value as string) : value
      continue
    }
    const { index, remove, insert } = operation
    expect(index + remove).toBeLessThanOrEqual(value.length)
    expect(cutsPair(value, index) || cutsPair(value, index + remove)).toBe(false)
    value = value.slice(0, index) + insert + value.slice(index + remove)
  }
  return value
}

describe('splices', () => {
  it('lead to the same as the plain patch, whatever happens to a document', () => {
    let splices = 0
    fc.assert(
      fc.property(fc.noShrink(fc.nat()), fc.integer({ min: 1, max: 50 }), (seed, steps) => {
        const rng = new Rng(seed)
        const doc = new Y.Doc({ gc: rng.chance(0.3) })
        const mounts = { '': map('state'), '/text': text('text'), '/document': xml('prosemirror') }
        const view = new JsonView(doc, { mounts })
        const world = new World(rng, { exotic: true, text: true, rich: true, xml: true }, doc)
        doc.getText('text').insert(0, 'a long text 😀 '.repeat(40))
        let before = view.read()
        let since = view.version
        for (let i = 0; i < steps; i++) {
          world.step()
          if (rng.chance(0.5)) editText(rng, doc.getText('text'))
          if (rng.chance(0.4)) continue
          const patch = view.diff(since, { splices: true })
          splices += patch.filter(isSplice).length
          expect(canonical(patched(before, patch))).toBe(canonical(view.read()))
          expect(canonical(patched(before, view.diff(since)))).toBe(canonical(view.read()))
          expect(patch.filter((operation) => !isSplice(operation)).length).toBeLessThanOrEqual(
            view.diff(since).length,
          )
          const pointed = view.diff(since, { pointer: '/text', splices: true })
          expect(pointed).toEqual(
            patch.flatMap((operation) =>
              operation.path !== '/text'
                ? []
                : [{ ...operation, path: '', ...(operation.op === 'add' ? { op: 'replace' } : {}) }],
            ),
          )
          before = view.read()
          since = view.version
        }
        view.destroy()
      }),
      { seed: 81, numRuns: runs(60) },
    )
    expect(splices).toBeGreaterThan(200)
  })

  it('never cut a pair, from any version, with edits that do', () => {
    let splices = 0
    fc.assert(
      fc.property(fc.noShrink(fc.nat()), (seed) => {
        const rng = new Rng(seed)
        const docs = [0, 1].map(() => new Y.Doc({ gc: false }))
        const [doc, other] = docs as [Y.Doc, Y.Doc]
        const view = new JsonView(doc, { mounts: { '': map('state'), '/text': text('text') } })
        doc.getText('text').insert(0, '12😀45👩‍👩‍👧'.repeat(60))
        const seen = [{ version: view.version, value: view.read({ pointer: '/text' }) as string }]
        for (let step = 0; step < 40; step++) {
          const target = docs[rng.int(2)]!
          target.transact(() => {
            for (let i = rng.int(3); i >= 0; i--) editText(rng, target.getText('text'), 0.1)
          })
          if (rng.chance(0.4)) Y.applyUpdate(other, Y.encodeStateAsUpdate(doc))
          if (rng.chance(0.4)) Y.applyUpdate(doc, Y.encodeStateAsUpdate(other))
          const now = view.read({ pointer: '/text' }) as string
          for (const { version, value } of [rng.pick(seen), seen.at(-1)!]) {
            const patch = view.diff(version, { pointer: '/text', splices: true })
            splices += patch.filter(isSplice).length
            // A pair that was cut and made whole again changes without any of its units having changed.
            if (patch.some(isSplice)) expect(spliceText(value, patch)).toBe(now)
          }
          seen.push({ version: view.version, value: now })
        }
        view.destroy()
      }),
      { seed: 82, numRuns: runs(60) },
    )
    expect(splices).toBeGreaterThan(500)
  })

  it('cost what the change costs, and come in order with the rest', () => {
    const scene = open({ title: 'x', body: new Y.Text('line of text\n'.repeat(20_000)) })
    const since = scene.view.version
    scene.doc.transact(() => {
      const body = scene.state.get('body') as Y.Text
      body.insert(100_000, 'here')
      body.delete(50_000, 3)
      scene.state.set('title', 'y')
    })
    expect(scene.view.diff(since, { splices: true })).toEqual([
      { op: 'add', path: '/title', value: 'y' },
      { op: 'splice', path: '/body', index: 50_000, remove: 3, insert: '' },
      { op: 'splice', path: '/body', index: 99_997, remove: 0, insert: 'here' },
    ])
    expect(scene.view.diff(since).map(({ op, path }) => `${op} ${path}`)).toEqual(['add /title', 'add /body'])
  })

  it('replace short texts as a whole', () => {
    const scene = open({ body: new Y.Text('short') })
    const since = scene.view.version
    ;(scene.state.get('body') as Y.Text).insert(5, '!')
    expect(scene.view.diff(since, { splices: true })).toEqual([{ op: 'add', path: '/body', value: 'short!' }])
  })
})

describe('splices that come in', () => {
  it('are carried out where their author saw them, beside what others typed', () => {
    const scene = open({ body: new Y.Text('one two three'), plain: 'abc', list: ['x'] })
    const at = scene.view.version
    const body = scene.state.get('body') as Y.Text
    body.insert(0, 'zero ')
    body.insert(body.length, ' four')
    const patch = [
      { op: 'splice', path: '/body', index: 4, remove: 3, insert: '2' },
      { op: 'splice', path: '/body', index: 0, remove: 0, insert: '>' },
      { op: 'splice', path: '/plain', index: 3, remove: 0, insert: 'd' },
      { op: 'splice', path: '/list/0', index: 0, remove: 1, insert: 'y' },
    ] as const
    const { conflicts } = scene.view.apply(patch as never, { at, splices: true })
    expect(conflicts).toEqual([])
    expect(scene.view.read()).toEqual({ body: 'zero >one 2 three four', plain: 'abcd', list: ['y'] })
  })

  it.each([
    ['not a string', { path: '/list', index: 0, remove: 0, insert: '' }],
    ['nothing there', { path: '/none', index: 0, remove: 0, insert: '' }],
    ['the root', { path: '', index: 0, remove: 0, insert: '' }],
    ['beyond the end', { path: '/body', index: 2, remove: 2, insert: '' }],
    ['within a pair', { path: '/body', index: 1, remove: 0, insert: 'x' }],
    ['to within a pair', { path: '/body', index: 0, remove: 1, insert: 'x' }],
    ['a fraction', { path: '/body', index: 0.5, remove: 0, insert: '' }],
    ['no insertion', { path: '/body', index: 0, remove: 0 }],
  ])('are refused: %s', (_, splice) => {
    const scene = open({ body: new Y.Text('😀!'), list: [] })
    const patch = [{ op: 'splice', ...splice }] as never
    expect(() => scene.view.apply(patch, { splices: true })).toThrow(
      expect.objectContaining({ code: 'invalid-patch' }),
    )
    expect(scene.view.read()).toEqual({ body: '😀!', list: [] })
  })

  it('are unknown operations to those who did not ask for them', () => {
    const scene = open({ body: new Y.Text('text') })
    const patch = [{ op: 'splice', path: '/body', index: 0, remove: 0, insert: 'x' }] as never
    expect(() => scene.view.apply(patch)).toThrow(expect.objectContaining({ code: 'invalid-patch' }))
  })
})
