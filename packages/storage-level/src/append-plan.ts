import { parseDocumentId, toPolyphonyError, type PolyphonyError } from '@polyphony/core'
import {
  chunkBytesMax,
  encodeEntry,
  encodeMetas,
  refuseAppend,
  refuseAppendAt,
  splitChunks,
  type Append,
  type AppendResult,
  type ChunkReference,
} from '@polyphony/storage'
import type { ChunkStore } from './chunk-store.ts'
import type { HeadView, Plan } from './group-writer.ts'
import { chunkRange, hexBytes } from './keys.ts'
import type { Operation } from './level-database.ts'
import { newHead, publicHead, type StoredHead } from './stored-head.ts'
import { deleteTrash } from './trash.ts'

/** An append whose large updates are written already. */
export interface PreparedAppend {
  readonly append: Append
  /** Found before anything was written. Without large updates nothing is: then all checks are made by `planAppends`. */
  readonly refusal: PolyphonyError | undefined
  /** By index of the entry. */
  readonly large: ReadonlyMap<number, ChunkReference>
}

/** Whether `prepareAppend` has anything to write. */
export function hasLargeEntries(batch: readonly Append[]): boolean {
  return batch.some(({ entries }) => entries.some(({ update }) => update.length > chunkBytesMax))
}

/** Checks what needs no head, and writes the large updates. */
export async function prepareAppend(append: Append, chunks: ChunkStore): Promise<PreparedAppend> {
  const refusal = refuseAppend(append)
  const large = new Map<number, ChunkReference>()
  if (refusal !== undefined) return { append, refusal, large }
  try {
    for (const [index, { update }] of append.entries.entries()) {
      if (update.length > chunkBytesMax) large.set(index, await chunks.write(splitChunks(update)))
    }
  } catch (error) {
    for (const { set } of large.values()) chunks.discard(set)
    throw error
  }
  return { append, refusal, large }
}

/** One result per append of the batch, and everything to be written for those that are not refused. */
export function planAppends(
  batch: readonly PreparedAppend[],
  view: HeadView,
  identity: { readonly generation: string; readonly newIncarnation: () => string },
): Plan<readonly AppendResult[]> {
  const heads: StoredHead[] = []
  const operations: Operation[] = []
  const result = batch.map((prepared): AppendResult => {
    const { append, refusal } = prepared
    const { documentId } = append
    try {
      if (refusal !== undefined) throw refusal
      parseDocumentId(documentId)
      const found = view.get(documentId)
      const error = refuseAppendAt(
        append,
        found === undefined ? undefined : publicHead(found, identity.generation),
      )
      if (error !== undefined) throw error
      const before = found ?? newHead(documentId, identity.newIncarnation())
      const { operations: added, ...changes } = appendEntries(prepared, before)
      const after = { ...before, ...changes }
      operations.push(...added)
      heads.push(after)
      const incarnation = after.incarnation + identity.generation
      return { ok: true, first: before.revision + 1, last: after.revision, incarnation }
    } catch (error) {
      return { ok: false, error: toPolyphonyError(error, 'internal', { documentId }) }
    }
  })
  return { heads, operations, result }
}

function appendEntries(
  { append, large }: PreparedAppend,
  { revision, endOffset, keys }: StoredHead,
): Pick<StoredHead, 'revision' | 'endOffset'> & { readonly operations: readonly Operation[] } {
  const operations: Operation[] = []
  let offset = endOffset
  const metas = encodeMetas(append.entries, append.documentId)
  for (const [index, meta] of metas.entries()) {
    const update = append.entries[index]?.update ?? empty
    const key = keys.entry(revision + 1 + index)
    const chunks = large.get(index)
    const entry = { meta, offset, update: chunks ?? update }
    operations.push({ type: 'put', key, value: encodeEntry(entry, key) })
    if (chunks !== undefined) {
      operations.push({ type: 'put', key: keys.large(revision + 1 + index), value: hexBytes(chunks.set) })
      operations.push(deleteTrash(chunkRange(chunks.set)))
    }
    offset += update.length
  }
  return { revision: revision + append.entries.length, endOffset: offset, operations }
}

const empty = new Uint8Array()
