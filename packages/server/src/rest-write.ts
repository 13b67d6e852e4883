import { isPolyphonyError, PolyphonyError, type ErrorCode } from '@polyphony/core'
import type { JsonPatch, JsonValue, JsonView, PatchResult, Version } from '@polyphony/translator'
import { sendEmpty, sendJson } from './answer.ts'
import { requireAccess } from './authorization.ts'
import type { Authorship, DocumentHandle, EditOutcome } from './document-handle.ts'
import { mergePatchOperations } from './merge-patch.ts'
import { parsePatchRequest } from './patch-request.ts'
import {
  readablePointer,
  requireChangesWithin,
  requireMergePatchWithin,
  requirePatchWithin,
  requireWhole,
} from './pointer-scope.ts'
import { parseEntityTags, parseIfMatch, preconditionFailed } from './preconditions.ts'
import { pointerParameter } from './query-parameters.ts'
import { mediaTypeOf, readBody, readJsonBody } from './request-body.ts'
import type { Exchange } from './request-handler.ts'
import { formatRevision, formatVersion, parseVersion, requireVersion } from './version-token.ts'

/**
 * PUT /v1/documents/{id}: makes the state, or what is at `?path=`, what the body says. With `If-Match` only what the
 * body changes against that version is changed; without, whatever differs now. `If-None-Match: *` creates only.
 */
export async function putDocument(exchange: Exchange, documentId: string): Promise<void> {
  requireAccess(exchange.principal, documentId, 'write')
  requireMediaType(exchange, ['application/json'])
  const { headers } = exchange.request
  const pointer = readablePointer(exchange.principal, documentId, pointerParameter(exchange.target.query))
  const base = parseIfMatch(headers)
  const createsOnly = parseEntityTags(headers['if-none-match'], 'If-None-Match') === '*'
  const next = (await readJsonBody(exchange.request, exchange.limits)) as JsonValue
  if (createsOnly) {
    requireWhole(exchange.principal, documentId, 'A creation')
    await create(exchange, documentId)
  }
  const assigned = (view: JsonView, at: Version | undefined): PatchResult => {
    const before = (): JsonValue | undefined => valueAt(view, pointer, at)
    requireChangesWithin(exchange.principal, documentId, { pointer, before, after: next })
    return assign(view, next, pointer, at)
  }
  await edit(exchange, documentId, { mustExist: base !== undefined }, (view, handle) => {
    if (base === undefined || base === '*') return { at: undefined, result: assigned(view, undefined) }
    const at = matchedVersion(base, handle)
    try {
      return { at, result: assigned(view, at) }
    } catch (error) {
      if (!isPolyphonyError(error) || error.code !== 'revision-expired') throw error
      throw preconditionFailed(documentId, 'that version is no longer retained')
    }
  })
}

/** A JSON Patch that may also splice strings. */
const splicePatchType = 'application/vnd.polyphony.patch+json'

/**
 * PATCH /v1/documents/{id}: a JSON Patch (with splices of strings, where the media type says so) or a JSON Merge Patch,
 * against the state now or the one its author saw.
 */
export async function patchDocument(exchange: Exchange, documentId: string): Promise<void> {
  requireAccess(exchange.principal, documentId, 'write')
  const mediaType = requireMediaType(exchange, [
    'application/json-patch+json',
    'application/merge-patch+json',
    splicePatchType,
    'application/json',
  ])
  if (exchange.target.query.has('path')) {
    throw new PolyphonyError('invalid-request', 'A patch has its pointers inside; "path" is for GET and PUT.')
  }
  const { headers } = exchange.request
  const expected = parseIfMatch(headers)
  const body = (await readJsonBody(exchange.request, exchange.limits)) as JsonValue
  const request = parsePatchRequest(body, {
    isMerge: mediaType === 'application/merge-patch+json',
    anchor: headers['polyphony-anchor'],
    policy: exchange.target.query.get('policy'),
    operationsMax: exchange.limits.patchOperationsMax,
  })
  if (request.isMerge) requireMergePatchWithin(exchange.principal, documentId, request.patch)
  else requirePatchWithin(exchange.principal, documentId, request.patch)
  const exact = expected !== undefined && expected !== '*'
  await edit(exchange, documentId, { mustExist: expected !== undefined, exact }, (view, handle) => {
    if (expected !== undefined && expected !== '*') requireNow(view, handle, expected)
    const at = request.at === undefined ? undefined : requireVersion(request.at, handle)
    const patch = request.isMerge ? operationsOf(view, request.patch, at) : request.patch
    // A merge patch sets a parent that is not there yet.
    if (request.isMerge) requirePatchWithin(exchange.principal, documentId, patch)
    const splices = mediaType === splicePatchType
    return { at, result: view.apply(patch, { at, policy: request.policy, splices }) }
  })
}

/** DELETE /v1/documents/{id}; with `If-Match` only at that version. */
export async function deleteDocument(exchange: Exchange, documentId: string): Promise<void> {
  requireAccess(exchange.principal, documentId, 'write')
  requireWhole(exchange.principal, documentId, 'A deletion')
  const expected = parseIfMatch(exchange.request.headers)
  const handle = await exchange.documents.open(documentId, { mustExist: true })
  const { revision, incarnation } = handle
  handle.release()
  const current = formatRevision(revision, incarnation)
  const isExact = expected !== undefined && expected !== '*'
  if (isExact && expected !== current) throw preconditionFailed(documentId, `it is at ${current}`, current)
  try {
    await exchange.documents.delete(documentId, isExact ? { expect: revision, incarnation } : {})
  } catch (error) {
    if (!isExact || !isPolyphonyError(error) || !headHasMoved.has(error.code)) throw error
    throw preconditionFailed(documentId, 'somebody has changed it just now')
  }
  sendEmpty(exchange, 204)
}

/** How a store says that a document is not where it was expected. */
const headHasMoved: ReadonlySet<ErrorCode> = new Set(['precondition-failed', 'incarnation-mismatch'])

/** POST /v1/documents/{id}/updates: commits a Yjs update. */
export async function postUpdate(exchange: Exchange, documentId: string): Promise<void> {
  requireAccess(exchange.principal, documentId, 'write')
  requireWhole(exchange.principal, documentId, 'A Yjs update')
  requireMediaType(exchange, ['application/octet-stream'])
  const update = await readBody(exchange.request, exchange.limits)
  const handle = await exchange.documents.open(documentId)
  try {
    const { revision } = await handle.submit(authorshipOf(exchange), new Uint8Array(update))
    sendWritten(exchange, handle, revision, formatRevision(revision, handle.incarnation), {})
  } finally {
    handle.release()
  }
}

/** Who wrote, in which run, for the log. */
export function authorshipOf(exchange: Exchange): Authorship {
  const author = exchange.principal.id
  const runId = tokenHeader(exchange, 'polyphony-run-id', 'Polyphony-Run-Id')
  const key = tokenHeader(exchange, 'idempotency-key', 'Idempotency-Key')
  // Keys are each author's own; nobody can ask for, or get in the way of, somebody else's.
  return { author, runId, idempotencyKey: key === undefined ? undefined : `${author} ${key}` }
}

function tokenHeader({ request }: Exchange, header: string, name: string): string | undefined {
  const value = request.headers[header]
  if (value === undefined || (typeof value === 'string' && /^[\x21-\x7e]{1,255}$/.test(value))) return value
  throw new PolyphonyError('invalid-request', `${name} has 1 to 255 visible ASCII characters.`)
}

interface Planned {
  /** What the author had seen; absent: the state as it was found. */
  readonly at: Version | undefined
  readonly result: PatchResult
}

async function edit(
  exchange: Exchange,
  documentId: string,
  options: { readonly mustExist: boolean; readonly exact?: boolean },
  plan: (view: JsonView, handle: DocumentHandle) => Planned,
): Promise<void> {
  const authorship = authorshipOf(exchange)
  const handle = await openForEdit(exchange, documentId, options.mustExist)
  try {
    const outcome: EditOutcome<Planned> = await handle.edit(authorship, (view) => plan(view, handle), options)
    if (outcome.revision === 0 && !handle.hasQueued) {
      await createEmpty(exchange, documentId)
      return
    }
    const planned = outcome.result
    sendWritten(exchange, handle, outcome.revision, anchorOf(outcome, handle), {
      ...(planned === undefined
        ? {}
        : { applied: planned.result.applied, conflicts: planned.result.conflicts }),
      ...(outcome.replayed ? { replayed: true } : {}),
      ...(outcome.changed || outcome.replayed ? {} : { changed: false }),
    })
  } finally {
    handle.release()
  }
}

/**
 * The token for the author's next patch. Who saw the newest state and then edited it has seen the entry of that edit; who
 * had seen an older one has not seen what came between, and its own edits are added to what it had seen. When these have
 * become too many to be carried in a token, the author is taken to have seen everything up to its edit.
 */
function anchorOf({ result, revision }: EditOutcome<Planned>, { incarnation }: DocumentHandle): string {
  if (result?.at === undefined || !result.result.version.isPortable)
    return formatRevision(revision, incarnation)
  return formatVersion(result.result.version, incarnation)
}

/** A write that leaves a new document empty has no entry to bring it into being. */
async function createEmpty(exchange: Exchange, documentId: string): Promise<void> {
  try {
    await exchange.documents.create(documentId)
  } catch (error) {
    // It was created empty before, or by somebody else just now.
    if (!isPolyphonyError(error) || error.code !== 'document-exists') throw error
  }
  const handle = await exchange.documents.open(documentId)
  try {
    const token = formatRevision(handle.revision, handle.incarnation)
    sendWritten(exchange, handle, handle.revision, token, { applied: 0, conflicts: [] })
  } finally {
    handle.release()
  }
}

/** `If-Match` on what is not there has failed, whatever it names. */
async function openForEdit(
  exchange: Exchange,
  documentId: string,
  mustExist: boolean,
): Promise<DocumentHandle> {
  try {
    return await exchange.documents.open(documentId, { mustExist })
  } catch (error) {
    if (!isPolyphonyError(error) || error.code !== 'document-not-found') throw error
    throw preconditionFailed(documentId, 'there is no such document')
  }
}

async function create(exchange: Exchange, documentId: string): Promise<void> {
  try {
    await exchange.documents.create(documentId)
  } catch (error) {
    if (!isPolyphonyError(error) || error.code !== 'document-exists') throw error
    throw new PolyphonyError('precondition-failed', `"${documentId}" exists already.`, { documentId })
  }
}

function sendWritten(
  exchange: Exchange,
  handle: DocumentHandle,
  revision: number,
  token: string,
  body: Readonly<Record<string, unknown>>,
): void {
  sendJson(
    exchange,
    200,
    { version: token, ...body },
    { etag: `"${formatRevision(revision, handle.incarnation)}"`, 'polyphony-version': token },
  )
}

/** What is at the pointer becomes `next`; where nothing is yet, it is added. */
function assign(view: JsonView, next: JsonValue, pointer: string, at: Version | undefined): PatchResult {
  if (pointer === '' || valueAt(view, pointer, at) !== undefined) return view.assign(next, { pointer, at })
  return view.apply([{ op: 'add', path: pointer, value: next }], { at })
}

function operationsOf(view: JsonView, patch: JsonValue, at: Version | undefined): JsonPatch {
  return mergePatchOperations(patch, (pointer) => valueAt(view, pointer, at))
}

function valueAt(view: JsonView, pointer: string, at: Version | undefined): JsonValue | undefined {
  try {
    return view.read({ pointer, at })
  } catch (error) {
    if (isPolyphonyError(error) && error.code === 'pointer-not-found') return undefined
    throw error
  }
}

/** The base of a three-way assignment; an `If-Match` that names nothing we can read has failed. */
function matchedVersion(token: string, handle: DocumentHandle): Version {
  const version = parseVersion(token, handle)
  if (version !== 'unknown') return version
  throw preconditionFailed(handle.documentId, 'the document was created anew since that version')
}

/** Throws unless the edit being planned will directly follow the version that its author saw. */
function requireNow(view: JsonView, handle: DocumentHandle, token: string): void {
  const current = formatVersion(view.version, handle.incarnation)
  if (token !== current) throw preconditionFailed(handle.documentId, `it is at ${current}`, current)
  if (handle.hasQueued)
    throw preconditionFailed(handle.documentId, 'others are changing it right now', current)
}

function requireMediaType(exchange: Exchange, accepted: readonly string[]): string {
  const type = mediaTypeOf(exchange.request)
  if (accepted.includes(type)) return type
  exchange.response.setHeader(
    exchange.request.method === 'PATCH' ? 'accept-patch' : 'accept',
    accepted.join(', '),
  )
  throw new PolyphonyError('unsupported-media-type', `Content-Type is one of ${accepted.join(', ')} here.`)
}
