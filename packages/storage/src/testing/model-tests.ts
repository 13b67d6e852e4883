import fc from 'fast-check'
import { isPolyphonyError } from '@polyphony/core'
import type { DocumentStore } from '../index.ts'
import { compareDocumentIds } from '../index.ts'
import type { ContractContext, ContractTest } from './contract.ts'
import { expectEqual, expectTrue } from './expectations.ts'
import { collect, readAll, refusedAppend, sampleBytes, sampleCheckpoint, sampleEntry } from './samples.ts'

/** The store as it should be, in a few lines: no durability, no retention, no concurrency. */
class Model {
  readonly documents = new Map<string, { updates: Uint8Array[]; checkpoint: number; deleted: boolean }>()

  append(documentId: string, updates: readonly Uint8Array[], expect?: number): string | [number, number] {
    const document = this.documents.get(documentId)
    if (document?.deleted === true) return 'document-deleted'
    const head = document?.updates.length ?? 0
    if (expect !== undefined && expect !== head) return 'precondition-failed'
    const alive = document ?? { updates: [], checkpoint: 0, deleted: false }
    this.documents.set(documentId, alive)
    alive.updates.push(...updates)
    return [head + 1, alive.updates.length]
  }

  checkpoint(documentId: string, revision: number): string {
    const document = this.documents.get(documentId)
    if (document === undefined) return 'document-not-found'
    if (document.deleted) return 'document-deleted'
    if (revision > document.updates.length) return 'precondition-failed'
    document.checkpoint = Math.max(document.checkpoint, revision)
    return 'ok'
  }

  create(documentId: string): string {
    const document = this.documents.get(documentId)
    if (document?.deleted === false) return 'document-exists'
    this.documents.set(documentId, { updates: [], checkpoint: 0, deleted: false })
    return 'ok'
  }

  delete(documentId: string, expect?: number): string {
    const document = this.documents.get(documentId)
    if (expect !== undefined && expect !== (document?.updates.length ?? 0)) return 'precondition-failed'
    if (document !== undefined) document.deleted = true
    return 'ok'
  }
}

type Command =
  | {
      kind: 'append'
      documents: readonly { id: string; sizes: readonly number[]; expect?: number | undefined }[]
    }
  | { kind: 'checkpoint'; id: string; revision: number; size: number }
  | { kind: 'create'; id: string }
  | { kind: 'delete'; id: string; expect?: number | undefined }
  | { kind: 'restart' }

const id = fc.constantFrom('a', 'ab', 'a/', '日', '\u{1f469}')
const size = fc.oneof(fc.nat(40), fc.constantFrom(262_143, 262_144, 262_145, 600_000))
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      documents: fc.uniqueArray(
        fc.record({
          id,
          sizes: fc.array(size, { minLength: 1, maxLength: 4 }),
          expect: fc.option(fc.nat(6), { nil: undefined, freq: 6 }),
        }),
        { selector: (document) => document.id, minLength: 1, maxLength: 3 },
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('checkpoint' as const),
      id,
      revision: fc.integer({ min: 1, max: 12 }),
      size,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('create' as const), id }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('delete' as const),
      id,
      expect: fc.option(fc.nat(6), { nil: undefined, freq: 2 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
)

export const modelTests: readonly ContractTest[] = [
  {
    id: 'model',
    title: 'model: random commands do exactly what a trivially simple model does',
    async run(context) {
      const run = async (commands: readonly Command[], index: number) => {
        let store = await context.open({ retention: { entries: 3, bytes: 500_000, ageMs: 1e12 } })
        // One place serves all tries: each has documents of its own.
        const own = (documentId: string) => `${index}/${documentId}`
        const model = new Model()
        for (const step of commands) {
          if (step.kind === 'restart') {
            if (!store.capabilities.survives.processKill) continue
            await store.close()
            store = await context.open({ retention: { entries: 3, bytes: 500_000, ageMs: 1e12 } })
          } else await perform(store, model, step, own)
          await compare(store, model, own, `${index}/`)
        }
        await store.close()
      }
      await checkProperty(context, run)
    },
  },
]

async function checkProperty(
  { seed, runs }: ContractContext,
  run: (commands: readonly Command[], index: number) => Promise<void>,
): Promise<void> {
  let index = 0
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 3, maxLength: 15 }), (commands) =>
      run(commands, ++index),
    ),
    { seed, numRuns: runs },
  )
}

async function perform(
  store: DocumentStore,
  model: Model,
  step: Exclude<Command, { kind: 'restart' }>,
  own: (documentId: string) => string,
): Promise<void> {
  switch (step.kind) {
    case 'append': {
      const batch = step.documents.map(({ id: name, sizes, expect }) => ({
        documentId: own(name),
        entries: sizes.map((bytes) => sampleEntry(sampleBytes(bytes, bytes + 1))),
        expect,
      }))
      const wanted = batch.map(({ documentId, entries, expect }) =>
        model.append(
          documentId,
          entries.map(({ update }) => update),
          expect,
        ),
      )
      const results = await store.append(batch)
      expectEqual(
        results.map((result) => (result.ok ? [result.first, result.last] : result.error.code)),
        wanted,
        'append',
      )
      return
    }
    case 'checkpoint': {
      const checkpoint = sampleCheckpoint(step.revision, sampleBytes(step.size, step.revision))
      const outcome = await outcomeOf(store.checkpoint(own(step.id), checkpoint))
      expectEqual(outcome, model.checkpoint(own(step.id), step.revision), 'checkpoint')
      return
    }
    case 'create':
      expectEqual(await outcomeOf(store.create(own(step.id))), model.create(own(step.id)), 'create')
      return
    case 'delete':
      expectEqual(
        await outcomeOf(store.delete(own(step.id), { expect: step.expect })),
        model.delete(own(step.id), step.expect),
        'delete',
      )
      return
  }
}

async function compare(
  store: DocumentStore,
  model: Model,
  own: (documentId: string) => string,
  prefix: string,
): Promise<void> {
  const listed = (await collect(store.list({ prefix, deleted: true }))).map(({ documentId }) => documentId)
  expectEqual(listed, [...model.documents.keys()].toSorted(compareDocumentIds), 'listed documents')
  for (const [documentId, { updates, checkpoint, deleted }] of model.documents) {
    const head = await store.head(documentId)
    expectEqual(
      [head?.tombstone !== undefined, head?.revision],
      [deleted, updates.length],
      `head of ${documentId}`,
    )
    const read = await readAll(store, documentId)
    if (deleted) {
      expectEqual([read.checkpoint, read.entries], [undefined, []], `a deleted ${documentId}`)
      continue
    }
    expectEqual(read.checkpoint?.revision ?? 0, checkpoint, `checkpoint of ${documentId}`)
    expectEqual(
      read.entries.map(({ update }) => update),
      updates.slice(checkpoint),
      `entries of ${documentId}`,
    )
    const history = await readAll(store, documentId, { after: 0 })
    const from = (history.checkpoint?.revision ?? 0) + 1
    expectTrue(from === 1 || from === checkpoint + 1, 'history begins at 1 or above the checkpoint')
    expectEqual(
      history.entries.map(({ update }) => update),
      updates.slice(from - 1),
      `history of ${documentId}`,
    )
    if (updates.length > 0 && !deleted) {
      const append = { documentId: own('never'), entries: [sampleEntry('x')], incarnation: head?.incarnation }
      expectTrue(
        isPolyphonyError(await refusedAppend(store, append)),
        'an incarnation of another document is refused',
      )
    }
  }
}

async function outcomeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'ok'
  } catch (error) {
    if (isPolyphonyError(error)) return error.code
    throw error
  }
}
