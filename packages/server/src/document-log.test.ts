import { resolveLimits } from '@polyphony/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import { BaseState } from './base-state.ts'
import { DocumentLog } from './document-log.ts'
import { Frontier } from './frontier.ts'
import { LogPiece } from './log-piece.ts'
import { statePieces } from './state-pieces.ts'
import { readUpdate } from './update-reader.ts'

const limits = resolveLimits()

/** Three replicas edit and hear of each other now and then; every update in the order in which it was made. */
function history(choices: readonly number[]): Uint8Array[] {
  const updates: Uint8Array[] = []
  const docs = [1, 2, 3].map((clientID) => {
    const doc = new Y.Doc()
    doc.clientID = clientID
    return doc
  })
  let last = 0
  docs.forEach((doc) =>
    doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== 'merge') updates.push(update)
    }),
  )
  for (const choice of choices) {
    const doc = docs[choice % 3]!
    const text = doc.getText('text')
    if (choice % 7 === 0) Y.applyUpdate(doc, Y.encodeStateAsUpdate(docs[last]!), 'merge')
    else if (choice % 7 < 3 && text.length > 2) text.delete(choice % (text.length - 1), 2)
    else if (choice % 7 === 3) doc.getMap('state').set(`k${choice % 3}`, choice)
    else text.insert(choice % (text.length + 1), `${choice}`)
    last = choice % 3
  }
  return updates
}

function logOf(updates: readonly Uint8Array[], rebaseAt?: number): DocumentLog {
  const log = new DocumentLog()
  const frontier = new Frontier(limits)
  updates.forEach((update, index) => {
    const { fresh } = frontier.admit(readUpdate(update, limits, false))
    if (fresh !== undefined)
      log.append({ revision: index + 1, update, increment: fresh.increment, committedAtMs: 0 })
    // Joins in between, so that what they share has to be extended.
    if (index % 7 === 0) encode(log)
    if (index + 1 === rebaseAt) log.rebase(baseOf(log.revision, encode(log)))
  })
  return log
}

/** A checkpoint in pieces that are as small as they get. */
function baseOf(revision: number, updates: readonly Uint8Array[]): BaseState {
  const pieces = [...statePieces(docOf(updates), { structsMax: 2, bytesMax: 1_000, unitsMax: 100 })]
  return new BaseState(
    revision,
    pieces.map(({ update, clocks }) => new LogPiece(update, clocks)),
  )
}

function encode(log: DocumentLog): readonly Uint8Array[] {
  return log.encodeDiff(new Map()) ?? []
}

function docOf(updates: readonly Uint8Array[]): Y.Doc {
  const doc = new Y.Doc()
  for (const update of updates) Y.applyUpdate(doc, update)
  return doc
}

function same(actual: Y.Doc, expected: Y.Doc): void {
  expect(actual.store.pendingStructs).toBeNull()
  expect(actual.store.pendingDs).toBeNull()
  expect(Y.encodeStateVector(actual)).toEqual(Y.encodeStateVector(expected))
  expect(actual.getText('text').toJSON()).toBe(expected.getText('text').toJSON())
  expect(actual.getMap('state').toJSON()).toEqual(expected.getMap('state').toJSON())
}

describe('DocumentLog', () => {
  test('whoever has a part of it has everything after the difference, also across a checkpoint', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(1_000), { minLength: 2, maxLength: 60 }),
        fc.nat(60),
        fc.nat(60),
        (choices, known, rebaseAt) => {
          const updates = history(choices)
          const log = logOf(updates, rebaseAt)
          const truth = docOf(updates)
          same(docOf(encode(log)), truth)
          const client = docOf(updates.slice(0, known))
          const stateVector = Y.encodeStateVector(client)
          const difference = log.encodeDiff(Y.decodeStateVector(stateVector)) ?? []
          for (const update of difference) Y.applyUpdate(client, update)
          same(client, truth)
        },
      ),
      { seed: 20261124, numRuns: 80 },
    )
  })

  test('an up-to-date client is sent deletions and no content', () => {
    const updates = history(Array.from({ length: 200 }, (_, index) => index * 37))
    const log = logOf(updates)
    const stateVector = Y.encodeStateVector(docOf(updates))
    const difference = log.encodeDiff(Y.decodeStateVector(stateVector)) ?? []
    expect(difference.length).toBe(1)
    const { structs, ds } = Y.decodeUpdate(difference[0]!)
    expect(structs).toEqual([])
    expect(ds.clients.size).toBeGreaterThan(0)
  })

  test('entries that come after the revision of a checkpoint stay above it', () => {
    const updates = history([4, 5, 6, 11, 12, 13, 18])
    const log = logOf(updates)
    const early = baseOf(3, updates.slice(0, 3))
    log.rebase(early)
    expect(log.base.revision).toBe(3)
    expect(log.tail.map(({ revision }) => revision)).toEqual([4, 5, 6, 7])
    expect(log.revision).toBe(7)
    expect(log.bytes).toBe(early.bytes + updates.slice(3).reduce((sum, { length }) => sum + length, 0))
    same(docOf(encode(log)), docOf(updates))
  })

  test('what joiners share is made once', () => {
    const log = logOf(history(Array.from({ length: 20 }, (_, index) => index * 13 + 4)))
    const [first] = encode(log)
    expect(encode(log)[0]).toBe(first)
  })
})
