import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { JsonView, type JsonPatch, type JsonValue } from '../src/index.ts'
import { canonical, type Json, type Operation } from './oracle/json.ts'
import { project } from './oracle/project.ts'
import { Rng } from './oracle/rng.ts'
import { runs } from './oracle/runs.ts'
import { applyStrict } from './oracle/strict-patch.ts'

// A stale replacement says what its author wanted by the difference between what it saw and what it sent. Everything
// here carries a mark that exists once, so that "nothing lost, nothing twice, nothing back from the dead" can be seen.

describe('a stale replacement of a text', () => {
  it('keeps what people typed, does not bring back what they deleted, and ends as wanted when nobody did', () => {
    let concurrent = 0
    fc.assert(
      fc.property(fc.noShrink(fc.nat()), fc.integer({ min: 0, max: 6 }), (seed, people) => {
        const rng = new Rng(seed)
        const doc = new Y.Doc({ gc: false })
        const text = new Y.Text(Array.from({ length: 5 + rng.int(20) }, () => rng.pick(letters)).join(''))
        doc.getMap('state').set('t', text)
        const view = new JsonView(doc)
        const at = view.version
        const seen = text.toJSON()
        const wanted = rewrite(rng, seen)
        // People type capital marks of their own, and delete some of what was there.
        const typed: string[] = []
        let deleted = 0
        for (let i = 0; i < people; i++) {
          if (rng.chance(0.3) && text.length > 0) {
            const place = boundary(text.toJSON(), rng.int(text.length))
            const size = boundary(text.toJSON(), place + 1) - place
            if (size > 0 && !/[A-Z]/.test(text.toJSON().slice(place, place + size))) {
              text.delete(place, size)
              deleted += 1
            }
          } else {
            const mark = String.fromCharCode(65 + i)
            typed.push(mark)
            text.insert(boundary(text.toJSON(), rng.int(text.length + 1)), mark)
          }
        }
        view.apply([{ op: 'replace', path: '/t', value: wanted }], { at })
        const result = text.toJSON()
        for (const mark of typed) expect(result.split(mark).length).toBe(2)
        if (deleted === 0) expect(result.replaceAll(/[A-Z]/g, '')).toBe(wanted)
        if (people === 0) expect(result).toBe(wanted)
        expect(Buffer.from(result).toString()).toBe(result)
        concurrent += people
        view.destroy()
      }),
      { seed: 31, numRuns: runs(600) },
    )
    expect(concurrent).toBeGreaterThan(600)
  })
})

const letters = ['a', 'b', 'c', ' ', '🙂', '🙃', 'é', '\n']

function rewrite(rng: Rng, text: string): string {
  const characters = Array.from(text)
  for (let i = 1 + rng.int(3); i > 0; i--) {
    const at = rng.int(characters.length + 1)
    characters.splice(
      at,
      rng.int(4),
      ...Array.from({ length: rng.int(4) }, () => rng.pick(['x', 'y', '🙃', '🙂'])),
    )
  }
  return characters.join('')
}

function boundary(text: string, at: number): number {
  const code = text.charCodeAt(at)
  return code >= 0xdc00 && code <= 0xdfff ? at + 1 : at
}

interface Card {
  readonly id: string
  readonly title: string
  readonly tags: readonly string[]
}

describe('a stale replacement of a list of objects, or of the whole state', () => {
  it.each(['/cards', '', 'assign'])(
    'by %s loses nothing of others and does what its author wanted',
    (how) => {
      const done = { human: 0, agent: 0 }
      fc.assert(
        fc.property(fc.noShrink(fc.nat()), fc.integer({ min: 0, max: 8 }), (seed, people) =>
          runCards(new Rng(seed), people, how, done),
        ),
        { seed: 32, numRuns: runs(300) },
      )
      expect(done.human).toBeGreaterThan(300)
      expect(done.agent).toBeGreaterThan(300)
    },
  )
})

function runCards(rng: Rng, people: number, how: string, done: { human: number; agent: number }): void {
  const doc = new Y.Doc({ gc: false })
  const view = new JsonView(doc)
  const start = Array.from({ length: rng.int(8) }, (_, i): Card => ({
    id: `c${i}`,
    title: `t${i}`,
    tags: [`tag${i}`],
  }))
  view.assign({ cards: start, other: 1 } as unknown as JsonValue)
  const at = view.version
  const wanted = rewriteCards(rng, start)
  const list = doc.getMap('state').get('cards') as Y.Array<Y.Map<unknown>>

  const humanCards = new Set<string>()
  const humanRemoved = new Set<string>()
  const humanTitles = new Map<string, string>()
  for (let i = 0; i < people; i++) {
    const dice = rng.next()
    if (dice < 0.4 || list.length === 0) {
      list.insert(rng.int(list.length + 1), [
        new Y.Map<unknown>([
          ['id', `h${i}`],
          ['title', 'human'],
          ['tags', new Y.Array()],
        ]),
      ])
      humanCards.add(`h${i}`)
    } else {
      const index = rng.int(list.length)
      const id = list.get(index).get('id') as string
      if (dice < 0.6 && !humanCards.has(id)) {
        list.delete(index)
        humanRemoved.add(id)
        humanTitles.delete(id)
      } else if (!humanCards.has(id)) {
        list.get(index).set('title', `human ${i}`)
        humanTitles.set(id, `human ${i}`)
      }
    }
  }
  doc.getMap('state').set('human', people)

  if (how === 'assign') view.assign({ cards: wanted, other: 2 } as unknown as JsonValue, { at })
  else if (how === '')
    view.apply([{ op: 'replace', path: '', value: { cards: wanted, other: 2 } }] as unknown as JsonPatch, {
      at,
    })
  else view.apply([{ op: 'replace', path: how, value: wanted }] as unknown as JsonPatch, { at })

  const state = project(doc.getMap('state')) as unknown as { cards: Card[]; other: number; human: number }
  expect(state.human).toBe(people)
  if (how !== '/cards') expect(state.other).toBe(2)
  const ids = state.cards.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
  for (const id of humanCards) expect(ids).toContain(id)
  for (const id of humanRemoved) expect(ids).not.toContain(id)
  const before = new Map(start.map((card) => [card.id, card]))
  const after = new Map(wanted.map((card) => [card.id, card]))
  for (const card of wanted) if (!before.has(card.id)) expect(ids).toContain(card.id)
  for (const { id } of start) if (!after.has(id)) expect(ids).not.toContain(id)
  for (const card of state.cards) {
    const [old, next] = [before.get(card.id), after.get(card.id)]
    if (old === undefined || next === undefined) continue
    if (old.title === next.title) expect(card.title).toBe(humanTitles.get(card.id) ?? old.title)
    else expect(card.title).toBe(next.title)
    expect(card.tags).toEqual(next.tags)
  }
  // Without anybody else the result is exactly what was sent.
  if (people === 0) expect(state.cards).toEqual(wanted)
  // What neither side moved keeps its order; what the author put between two of its neighbours stands there.
  const untouched = start.filter(({ id }) => after.has(id) && !humanRemoved.has(id)).map(({ id }) => id)
  const inOrder = wanted.map(({ id }) => id).filter((id) => untouched.includes(id))
  expect(ids.filter((id) => untouched.includes(id))).toEqual(inOrder)

  const delta = view.diff(at) as unknown as Operation[]
  expect(canonical(applyStrict(view.read({ at }) as Json, delta))).toBe(
    canonical(project(doc.getMap('state'))),
  )
  const replica = new Y.Doc()
  Y.applyUpdate(replica, Y.encodeStateAsUpdate(doc))
  expect(canonical(project(replica.getMap('state')))).toBe(canonical(project(doc.getMap('state'))))
  done.human += people
  done.agent += wanted.length
  view.destroy()
}

function rewriteCards(rng: Rng, cards: readonly Card[]): Card[] {
  const next = [...cards]
  for (let i = 1 + rng.int(4); i > 0; i--) {
    const at = rng.int(next.length)
    const card = next[at]
    const dice = rng.next()
    if (dice < 0.35 || card === undefined)
      next.splice(rng.int(next.length + 1), 0, { id: `a${i}-${rng.int(1e9)}`, title: 'agent', tags: ['x'] })
    else if (dice < 0.55) next.splice(at, 1)
    else if (dice < 0.75) next[at] = { ...card, title: `agent ${i}` }
    else next[at] = { ...card, tags: [...card.tags, `more${i}`] }
  }
  return next
}
