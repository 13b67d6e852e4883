import { jsonEquals, type JsonValue } from '@polyphony/translator'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { diffJson } from './json-diff.ts'
import { HeldState } from './held-state.ts'
import { rebaseJson } from './json-rebase.ts'
import type { StateChange } from './state-reader.ts'

const at = (revision: number): string => `i.${revision}`

function snapshot(value: JsonValue, revision: number): StateChange {
  return {
    snapshot: { value: structuredClone(value) },
    operations: [],
    previous: null,
    version: at(revision),
  }
}

function delta(from: number, to: number, old: JsonValue, next: JsonValue): StateChange {
  return { operations: structuredClone(diffJson(old, next)), previous: at(from), version: at(to) }
}

function opened(value: JsonValue, revision = 1): HeldState {
  const held = new HeldState({})
  expect(held.take(snapshot(value, revision))).toBe('taken')
  return held
}

describe('taking in', () => {
  test('deltas must follow what is held', () => {
    const held = opened({ n: 1 })
    expect(held.take(delta(1, 2, { n: 1 }, { n: 2 }))).toBe('taken')
    expect(held.take(delta(1, 2, { n: 1 }, { n: 2 }))).toBe('known')
    expect(held.take(delta(3, 4, { n: 3 }, { n: 4 }))).toBe('gap')
    expect([held.value, held.version]).toEqual([{ n: 2 }, at(2)])
  })

  test('a delta for another state leaves everything as it is', () => {
    const held = opened({ n: 1 })
    const spoiled: StateChange = {
      operations: [
        { op: 'add', path: '/n', value: 2 },
        { op: 'add', path: '/none/deep', value: 2 },
      ],
      previous: at(1),
      version: at(2),
    }
    expect(held.take(spoiled)).toBe('gap')
    expect([held.value, held.version]).toEqual([{ n: 1 }, at(1)])
  })

  test('an old snapshot of another stream is known, that of another incarnation is not', () => {
    const held = opened({ n: 5 }, 5)
    expect(held.take(snapshot({ n: 4 }, 4))).toBe('known')
    expect(held.take({ ...snapshot({ n: 1 }, 1), version: 'j.1' })).toBe('taken')
    expect(held.value).toEqual({ n: 1 })
  })

  test('a repeated snapshot keeps every object that is equal', () => {
    const held = opened({ list: [{ a: 1 }], n: 1 })
    const before = held.value
    expect(held.take(snapshot({ list: [{ a: 1 }], n: 1 }, 1))).toBe('taken')
    expect(held.value).toBe(before)
  })
})

describe('edits', () => {
  test('stay visible until they are confirmed, and then are what the server made of them', () => {
    const held = opened({ a: 0, b: 0 })
    held.edit({ a: 1, b: 0 })
    expect(held.send()).toEqual({ patch: [{ op: 'replace', path: '/a', value: 1 }], anchor: at(1) })
    expect(held.send()).toBeUndefined()
    held.take(delta(1, 2, { a: 0, b: 0 }, { a: 0, b: 9 }))
    expect(held.value).toEqual({ a: 1, b: 9 })
    held.stored(at(3))
    expect(held.value).toEqual({ a: 1, b: 9 })
    held.take(delta(2, 3, { a: 0, b: 9 }, { a: 'merged', b: 9 }))
    expect(held.value).toEqual({ a: 'merged', b: 9 })
    expect(held.hasEdits).toBe(false)
  })

  test('what is refused goes back, what was set on top of it stays', () => {
    const held = opened({ a: 0, b: 0 })
    held.edit({ a: 1, b: 0 })
    held.send()
    held.edit({ a: 1, b: 2 })
    held.drop()
    expect(held.value).toEqual({ a: 0, b: 2 })
    expect(held.send()?.patch).toEqual([{ op: 'replace', path: '/b', value: 2 }])
  })

  test('what is set and set back is nothing to send', () => {
    const held = opened({ a: 0 })
    held.edit({ a: 1 })
    held.edit({ a: 0 })
    expect(held.hasUnsaved).toBe(false)
    expect(held.send()).toBeUndefined()
  })

  test('with any interleaving, what is shown ends as the server has it', () => {
    const state = fc.record({
      list: fc.array(fc.record({ id: fc.nat(6), n: fc.nat(3) }), { maxLength: 4 }),
      text: fc.constantFrom('', 'one', 'one two', 'zero one'),
      n: fc.nat(9),
    })
    const step = fc.oneof(
      fc.record({ kind: fc.constant('mine' as const), state }),
      fc.record({ kind: fc.constant('theirs' as const), state }),
      fc.record({ kind: fc.constantFrom('send', 'answer', 'deliver', 'refuse') }),
    )
    fc.assert(
      fc.property(state, fc.array(step, { maxLength: 30 }), (first, steps) => {
        // The server: a log of states; a patch is merged three-way, as the real one does it.
        const log: JsonValue[] = [structuredClone(first)]
        const held = new HeldState({})
        held.take(snapshot(first, 0))
        let delivered = 0
        let onItsWay: { patch: ReturnType<HeldState['send']>; made: JsonValue } | undefined
        const deliver = (): void => {
          const newest = log.length - 1
          if (delivered < newest) {
            expect(held.take(delta(delivered, newest, log[delivered]!, log[newest]!))).toBe('taken')
            delivered = newest
          }
        }
        const answer = (): void => {
          if (onItsWay?.patch === undefined) return
          const base = log[Number(onItsWay.patch.anchor.slice(2))]!
          log.push(rebaseJson(base, onItsWay.made, log.at(-1)!))
          onItsWay = undefined
          held.stored(at(log.length - 1))
        }
        const send = (): void => {
          const made = held.value
          const patch = held.send()
          if (patch !== undefined) onItsWay = { patch, made }
        }
        for (const next of steps) {
          if (next.kind === 'mine' && 'state' in next) {
            held.edit(next.state)
            expect(held.value).toEqual(next.state)
          } else if (next.kind === 'theirs' && 'state' in next) log.push(structuredClone(next.state))
          else if (next.kind === 'send') send()
          else if (next.kind === 'answer') answer()
          else if (next.kind === 'deliver') deliver()
          else if (onItsWay !== undefined) {
            onItsWay = undefined
            held.drop()
          }
        }
        for (let rounds = 0; rounds < 4; rounds++) {
          answer()
          deliver()
          send()
        }
        expect(held.hasEdits).toBe(false)
        expect(jsonEquals(held.value, log.at(-1))).toBe(true)
      }),
      { seed: 95, numRuns: process.env.POLYPHONY_SOAK === '1' ? 10_000 : 500 },
    )
  })
})
