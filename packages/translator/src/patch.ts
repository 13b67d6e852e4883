import { PolyphonyError } from '@polyphony/core'
import type { JsonValue } from './json-value.ts'
import { clip, parsePointer } from './pointer.ts'
import type { Version } from './version.ts'

export type PatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: JsonValue }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly from: string; readonly path: string }

/** An RFC 6902 JSON Patch. */
export type JsonPatch = readonly PatchOperation[]

/**
 * Replaces `remove` UTF-16 units of the string at `path`, from `index` on, by `insert`. It never begins or ends within a
 * surrogate pair. An extension of RFC 6902 for those who ask for it: there a string can only be replaced as a whole.
 */
export interface TextSplice {
  readonly op: 'splice'
  readonly path: string
  readonly index: number
  readonly remove: number
  readonly insert: string
}

/** A JSON Patch that may also splice strings. */
export type SplicePatch = readonly (PatchOperation | TextSplice)[]

/**
 * Why an operation of a stale patch met something that others did meanwhile.
 *
 * - `target-deleted`: the place it works on, or what it replaces or moves, was deleted. Skipped.
 * - `already-deleted`: what it removes is gone already. Nothing to do.
 * - `key-set-concurrently`: the key has another value now. `add` and `replace` win over it; `remove` leaves it alone.
 * - `key-deleted-concurrently`: the key that it replaces was removed. The new value stands.
 * - `depends-on-skipped`: it works on what a skipped operation would have brought. Skipped.
 * - `test-failed`: a `test` that held for the author no longer holds. Only in `strict`.
 * - `mounted`: a whole-state replacement leaves out a mounted root, which stays as it is.
 */
export type ConflictReason =
  | 'target-deleted'
  | 'already-deleted'
  | 'key-set-concurrently'
  | 'key-deleted-concurrently'
  | 'depends-on-skipped'
  | 'test-failed'
  | 'mounted'

export interface Conflict {
  /** Zero-based index of the operation in the patch; 0 for `assign`. */
  readonly index: number
  readonly op: SplicePatch[number]['op']
  readonly reason: ConflictReason
  /** Where, as the author of the patch addresses it. */
  readonly path: string
  /** Whether the operation had no effect there. */
  readonly skipped: boolean
}

export interface PatchResult {
  /** Operations that were not skipped. */
  readonly applied: number
  readonly conflicts: readonly Conflict[]
  /** What the author of the patch sees now: what it saw before, plus this patch. */
  readonly version: Version
}

/** An operation with its pointers taken apart. */
export interface Step {
  readonly index: number
  readonly op: SplicePatch[number]['op']
  readonly path: readonly string[]
  readonly from: readonly string[]
  readonly value: JsonValue | undefined
  readonly splice?: Pick<TextSplice, 'index' | 'remove' | 'insert'> | undefined
}

/**
 * Checks the form of a patch, which may come from outside; `splices` tells whether it may splice strings. Throws
 * `invalid-patch` with the index of the culprit.
 */
export function parsePatch(patch: unknown, operationsMax: number, splices = false): Step[] {
  if (!Array.isArray(patch))
    throw new PolyphonyError(
      'invalid-patch',
      'A JSON Patch is an array of operations',
      reason('not-an-array'),
    )
  if (patch.length > operationsMax)
    throw new PolyphonyError('patch-too-large', `A JSON Patch has at most ${operationsMax} operations`, {
      limit: 'patchOperationsMax',
    })
  return patch.map((raw, index) => parseOperation(raw, index, splices))
}

/** An `invalid-patch` error of one operation, with a stable reason for programs. */
export function refusal(index: number, why: string, message: string): PolyphonyError {
  return new PolyphonyError('invalid-patch', `Operation ${index}: ${message}`, { index, ...reason(why) })
}

const operations = new Set(['add', 'remove', 'replace', 'move', 'copy', 'test'])

function parseOperation(raw: unknown, index: number, splices: boolean): Step {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw))
    throw refusal(index, 'not-an-object', 'it is not an object')
  const member = (name: string): unknown =>
    Object.hasOwn(raw, name) ? (raw as Record<string, unknown>)[name] : undefined
  const op = member('op')
  if (op === 'splice' && splices) return parseSplice(member, index)
  if (typeof op !== 'string' || !operations.has(op))
    throw refusal(index, 'unknown-operation', `"op" is none of ${[...operations].join(', ')}`)
  const path = pointerMember(index, 'path', member('path'))
  const moves = op === 'move' || op === 'copy'
  const from = moves ? pointerMember(index, 'from', member('from')) : []
  const value = member('value')
  if ((op === 'add' || op === 'replace' || op === 'test') && value === undefined)
    throw refusal(index, 'missing-value', `"${op}" needs a "value"`)
  return { index, op: op as PatchOperation['op'], path, from, value: value as JsonValue | undefined }
}

function parseSplice(member: (name: string) => unknown, index: number): Step {
  const path = pointerMember(index, 'path', member('path'))
  const [start, remove, insert] = [member('index'), member('remove'), member('insert')]
  if (!isCount(start) || !isCount(remove) || typeof insert !== 'string')
    throw refusal(
      index,
      'invalid-splice',
      '"splice" needs the numbers "index" and "remove" and the string "insert"',
    )
  return { index, op: 'splice', path, from: [], value: undefined, splice: { index: start, remove, insert } }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function pointerMember(index: number, name: string, value: unknown): string[] {
  if (typeof value !== 'string') throw refusal(index, `missing-${name}`, `"${name}" is not a string`)
  try {
    return parsePointer(value)
  } catch (error) {
    throw new PolyphonyError('invalid-patch', `Operation ${index}: "${clip(value)}" is not a JSON pointer`, {
      index,
      ...reason('invalid-pointer'),
      cause: error,
    })
  }
}

function reason(why: string): { extra: { reason: string } } {
  return { extra: { reason: why } }
}
