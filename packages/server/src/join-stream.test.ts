import { resolveLimits, systemClock, Turns } from '@polyphony/core'
import * as decoding from 'lib0/decoding'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import { BaseState } from './base-state.ts'
import { DocumentLog } from './document-log.ts'
import { Frontier } from './frontier.ts'
import { JoinStream } from './join-stream.ts'
import { LogPiece } from './log-piece.ts'
import { statePieces } from './state-pieces.ts'
import { readUpdate } from './update-reader.ts'

const limits = resolveLimits()
/** Larger than what is sent at a stretch, so that the stream waits for the socket after every few edits. */
const filler = 'x'.repeat(60_000)

/** A log that three authors write, each edit an entry. */
class Writing {
  readonly log = new DocumentLog()
  readonly docs = [1, 2, 3].map((clientID) => {
    const doc = new Y.Doc()
    doc.clientID = clientID
    return doc
  })
  readonly #frontier = new Frontier(limits)

  edit(choice: number): void {
    const doc = this.docs[choice % 3]!
    const updates: Uint8Array[] = []
    const collect = (update: Uint8Array): number => updates.push(update)
    doc.on('update', collect)
    const text = doc.getText('text')
    const map = doc.getMap('state')
    if (choice % 4 === 0 && text.length > 3) text.delete(choice % (text.length - 2), 2)
    else if (choice % 2 === 1) map.set(`k${choice % 40}`, filler)
    else text.insert(choice % (text.length + 1), `${choice}`)
    doc.off('update', collect)
    for (const update of updates) this.#append(update)
  }

  /** Replaces the log by a checkpoint in small pieces, whose bytes are let go of when `inMemory` is false. */
  rebase(inMemory: boolean): BaseState {
    const pieces = [...statePieces(this.truth(), { structsMax: 5, bytesMax: 100_000, unitsMax: 1_000 })]
    const base = new BaseState(
      this.log.revision,
      pieces.map(({ update, clocks }) => new LogPiece(update, clocks)),
    )
    this.kept = base.pieces ?? []
    this.log.rebase(base)
    if (!inMemory) base.drop()
    return base
  }
  kept: readonly LogPiece[] = []

  async load(): Promise<void> {
    this.log.base.refill(this.kept)
  }

  truth(): Y.Doc {
    const doc = new Y.Doc()
    for (const other of this.docs) Y.applyUpdate(doc, Y.encodeStateAsUpdate(other))
    return doc
  }

  #append(update: Uint8Array): void {
    const { fresh } = this.#frontier.admit(readUpdate(update, limits, false))
    if (fresh !== undefined)
      this.log.append({
        revision: this.log.revision + 1,
        update,
        increment: fresh.increment,
        committedAtMs: 0,
      })
  }
}

function apply(doc: Y.Doc, message: Uint8Array): void {
  const decoder = decoding.createDecoder(message)
  expect(decoding.readVarUint(decoder)).toBe(0)
  expect(decoding.readVarUint(decoder)).toBe(2)
  Y.applyUpdate(doc, decoding.readVarUint8Array(decoder))
  expect(doc.store.pendingStructs).toBeNull()
}

const action = fc.oneof(
  fc.record({ type: fc.constant('edit' as const), choice: fc.nat(10_000) }),
  fc.record({ type: fc.constant('rebase' as const), inMemory: fc.boolean() }),
  fc.constant({ type: 'written' as const }),
)

describe('JoinStream', () => {
  test('whoever joins has everything at the end, whatever is written, checkpointed and let go of meanwhile', async () => {
    let waits = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(10_000), { minLength: 20, maxLength: 60 }),
        fc.nat(60),
        fc.boolean(),
        fc.array(action, { maxLength: 40 }),
        async (before, known, hasBase, meanwhile) => {
          const writing = new Writing()
          const client = new Y.Doc()
          for (const [index, choice] of before.entries()) {
            writing.edit(choice)
            if (index === known) Y.applyUpdate(client, Y.encodeStateAsUpdate(writing.truth()))
          }
          if (hasBase) writing.rebase(known % 2 === 0)
          const turns = new Turns(systemClock)
          const waiting: (() => void)[] = []
          let isDone = false
          const stream = new JoinStream({
            log: writing.log,
            turns,
            loadBase: () => writing.load(),
            has: Y.decodeStateVector(Y.encodeStateVector(client)),
            send: (message, written) => {
              apply(client, message)
              if (written === undefined) return
              waits += 1
              waiting.push(written)
            },
            done: () => (isDone = true),
            failed: (error) => expect.fail(String(error)),
          })
          stream.start()
          const turn = () => new Promise<void>((resolve) => void turns.next(resolve))
          for (const each of meanwhile) {
            // What is committed later is no longer the stream's to send.
            if (isDone) break
            if (each.type === 'edit') writing.edit(each.choice)
            else if (each.type === 'rebase') writing.rebase(each.inMemory)
            else waiting.shift()?.()
            await turn()
          }
          while (!isDone) {
            waiting.shift()?.()
            await turn()
          }
          const truth = writing.truth()
          expect(Y.encodeStateVector(client)).toEqual(Y.encodeStateVector(truth))
          expect(client.getText('text').toJSON()).toBe(truth.getText('text').toJSON())
          expect(client.getMap('state').toJSON()).toEqual(truth.getMap('state').toJSON())
        },
      ),
      { seed: 20261125, numRuns: 120 },
    )
    expect(waits).toBeGreaterThan(100)
  })

  test('one piece waits at a time, and a stream that was cancelled sends no more', () => {
    const writing = new Writing()
    for (let index = 0; index < 40; index++) writing.edit(index * 6 + 1)
    writing.rebase(true)
    let sent = 0
    const stream = new JoinStream({
      log: writing.log,
      turns: new Turns(systemClock),
      loadBase: () => writing.load(),
      has: new Map(),
      send: (message) => (sent += message.length),
      done: () => expect.fail('done'),
      failed: (error) => expect.fail(String(error)),
    })
    stream.start()
    expect(sent).toBeLessThan(600_000)
    stream.cancel()
  })
})
