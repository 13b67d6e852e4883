import { PolyphonyError } from '@polyphony/core'
import { escapePointer } from '@polyphony/ag-ui'
import { isJsonObject, jsonEquals, type JsonObject, type JsonValue } from '@polyphony/translator'
import type { Principal } from './authorization.ts'

/**
 * The parts of a document that somebody may read and write: what is at the pointers, and everything below. The pointers
 * lead through members of objects only, never through elements of arrays. So they name the same place in every version of
 * a document, and what is below one stays below it: an anchored patch, however stale, lands where its paths say.
 */
export interface PointerScope {
  readonly read: readonly string[]
  /** Each lies within one of `read`. */
  readonly write: readonly string[]
}

const membersPointer = /^(\/(?!(0|[1-9]\d*|-)(\/|$))([^/~]|~[01])*)*$/

/** Whether a pointer can be the end of a scope: well-formed, and never the index of an element. */
export function isScopePointer(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 1_024 && membersPointer.test(value)
}

/** Whether `pointer` leads to one of the places in `scope`, or below it. */
export function isWithin(scope: readonly string[], pointer: string): boolean {
  return scope.some((place) => pointer === place || pointer.startsWith(`${place}/`))
}

/**
 * The part of a document that is read when `asked` was asked for. Somebody limited to a single part gets that part by not
 * asking for any. Throws `pointer-forbidden` for what lies outside.
 */
export function readablePointer(principal: Principal, documentId: string, asked: string): string {
  const scope = principal.scope?.(documentId)
  if (scope === undefined || isWithin(scope.read, asked)) return asked
  const [only] = scope.read
  if (asked === '' && only !== undefined && scope.read.length === 1) return only
  throw forbidden(documentId, scope, `The token does not grant reading "${asked}".`)
}

/** Throws `pointer-forbidden` for somebody who is limited to parts of a document: this concerns all of it. */
export function requireWhole(principal: Principal, documentId: string, what: string): void {
  const scope = principal.scope?.(documentId)
  if (scope === undefined) return
  throw forbidden(documentId, scope, `${what} concerns the whole document; the token grants parts of it.`)
}

/** Throws `pointer-forbidden`, with the index of the operation, for a patch that reaches outside of the scope. */
export function requirePatchWithin(
  principal: Principal,
  documentId: string,
  patch: readonly unknown[],
): void {
  const scope = principal.scope?.(documentId)
  if (scope === undefined) return
  for (const [index, operation] of patch.entries()) {
    // What has not the form of an operation is refused as a whole by the translator.
    if (typeof operation !== 'object' || operation === null) continue
    const { op, path, from } = operation as Readonly<Record<string, unknown>>
    requireOperation(documentId, scope, index, path, op === 'test' ? 'read' : 'write')
    requireOperation(documentId, scope, index, from, op === 'move' ? 'write' : 'read')
  }
}

/**
 * Throws `pointer-forbidden` for a JSON Merge Patch that names anything outside of the scope. What is there now does not
 * matter, or the answer would tell it.
 */
export function requireMergePatchWithin(principal: Principal, documentId: string, patch: JsonValue): void {
  const scope = principal.scope?.(documentId)
  if (scope === undefined) return
  const check = (pointer: string, value: JsonValue): void => {
    if (isWithin(scope.write, pointer)) return
    if (!isJsonObject(value) || Object.keys(value).length === 0)
      throw forbidden(documentId, scope, `The token does not grant writing "${pointer}".`)
    for (const [key, member] of Object.entries(value)) check(`${pointer}/${escapePointer(key)}`, member)
  }
  check('', patch)
}

/** Throws `pointer-forbidden` when making `before`, which is at `pointer`, into `after` changes anything outside. */
export function requireChangesWithin(
  principal: Principal,
  documentId: string,
  change: {
    readonly pointer: string
    readonly before: () => JsonValue | undefined
    readonly after: JsonValue
  },
): void {
  const scope = principal.scope?.(documentId)
  if (scope === undefined) return
  const check = (pointer: string, before: JsonValue | undefined, after: JsonValue | undefined): void => {
    if (isWithin(scope.write, pointer)) return
    if (before === undefined || after === undefined || !isJsonObject(before) || !isJsonObject(after)) {
      if (before !== undefined && after !== undefined && jsonEquals(before, after)) return
      throw forbidden(documentId, scope, `The token does not grant changing "${pointer}".`)
    }
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)]))
      check(`${pointer}/${escapePointer(key)}`, ownMember(before, key), ownMember(after, key))
  }
  check(change.pointer, change.before(), change.after)
}

function requireOperation(
  documentId: string,
  scope: PointerScope,
  index: number,
  pointer: unknown,
  access: 'read' | 'write',
): void {
  if (typeof pointer !== 'string' || isWithin(scope[access], pointer)) return
  const doing = access === 'read' ? 'reading' : 'writing'
  throw forbidden(
    documentId,
    scope,
    `Operation ${index}: the token does not grant ${doing} "${pointer}".`,
    index,
  )
}

function ownMember(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

function forbidden(documentId: string, scope: PointerScope, message: string, index?: number): PolyphonyError {
  const { read, write } = scope
  return new PolyphonyError('pointer-forbidden', message, {
    documentId,
    index,
    extra: { granted: { read, write } },
  })
}
