import { createHash } from 'node:crypto'
import {
  encodeCustom,
  encodeRunError,
  encodeRunFinished,
  encodeRunStarted,
  encodeSse,
  parseRunInput,
  type RunInput,
} from '@polyphony/ag-ui'
import { isPolyphonyError, PolyphonyError, type ErrorCode } from '@polyphony/core'
import {
  isJsonObject,
  jsonEquals,
  type JsonValue,
  type PatchResult,
  type Version,
} from '@polyphony/translator'
import { requireAccess } from './authorization.ts'
import type { DocumentHandle } from './document-handle.ts'
import { negotiateFormat } from './feed-format.ts'
import type { FeedStream, FeedStreams } from './feed-streams.ts'
import { takeHistory } from './history-merge.ts'
import { readablePointer, requireChangesWithin, requireWhole } from './pointer-scope.ts'
import { mediaTypeOf, readJsonBody } from './request-body.ts'
import type { DocumentRequestHandler, Exchange } from './request-handler.ts'
import { parseVersion } from './version-token.ts'

/** What a run needs of whoever asked for it, on whatever transport. */
export type RunContext = Pick<Exchange, 'principal' | 'documents' | 'limits' | 'clock'>

/**
 * POST /v1/documents/{id}/ag-ui: a run of the official AG-UI client. It starts, gives the state (or what changed since
 * the version that the client proves to hold), and, as a watch run, everything that comes until the client goes.
 */
export function agUiHandler(streams: FeedStreams): DocumentRequestHandler {
  return async (exchange, documentId) => {
    requireAccess(exchange.principal, documentId, 'read')
    requireRunInput(exchange)
    exchange.response.appendHeader('vary', 'Accept')
    const format = negotiateFormat(exchange.request.headers.accept)
    const body = await readJsonBody(exchange.request, exchange.limits)
    const run = await prepareRun(exchange, documentId, body)
    await streams.run(exchange, { ...run, face: 'ag-ui', format })
  }
}

/**
 * Checks a `RunAgentInput`, takes what its state proposes, and tells what the run consists of. Throws what the client did
 * wrong.
 */
export async function prepareRun(
  context: RunContext,
  documentId: string,
  body: unknown,
): Promise<Omit<FeedStream, 'face' | 'format'>> {
  const asked = parseRunInput(body)
  const input = { ...asked, pointer: readablePointer(context.principal, documentId, asked.pointer) }
  const taken = await takeProposal(context, documentId, input)
  // Messages are none of the parts that a token can be limited to.
  const isWhole = context.principal.scope?.(documentId) === undefined
  if (input.withMessages === 'merge') await mergeMessages(context, documentId, input)
  return {
    documentId,
    pointer: input.pointer,
    splices: input.splices,
    since: taken.holds,
    messages: isWhole && input.withMessages !== 'none' ? input.messages : undefined,
    stays: input.mode === 'watch',
    prelude: [encodeRunStarted(input), ...taken.notes].map(frame),
    ending: frame(encodeRunFinished(input)),
    failing: (error) => frame(encodeRunError(error)),
  }
}

interface TakenProposal {
  /** Token of the version that the client's state is known to be. */
  readonly holds: string | undefined
  /** Events that tell the client what became of its state. */
  readonly notes: readonly string[]
}

/**
 * The client sends its whole state with every run. With the version that it is based on, what differs from that version
 * is what the client changed, and is merged. Without one nobody can tell its edits from what it has not heard of yet,
 * so it is not looked at.
 */
export async function takeProposal(
  exchange: RunContext,
  documentId: string,
  input: RunInput,
): Promise<TakenProposal> {
  const { version, state } = input
  // Who sends no state at all trusts its token, and so do we.
  if (version === undefined || state === undefined) return { holds: version, notes: [] }
  const handle = await exchange.documents.open(documentId)
  try {
    const at = parseVersion(version, handle)
    if (at === 'unknown') return ignored('incarnation-mismatch')
    const isUnchanged = await handle.read((view) =>
      jsonEquals(view.read({ pointer: input.pointer, at }), state),
    )
    if (isUnchanged) return { holds: version, notes: [] }
    // The official client sends {} for a state that it never had; to clear a document there are PUT and PATCH.
    if (isEmptyObject(state)) return ignored('invalid-request')
    const conflicts = await mergeState(exchange, handle, input, { at, state })
    return {
      holds: undefined,
      notes: conflicts.length > 0 ? [encodeCustom('polyphony.conflicts', { conflicts })] : [],
    }
  } catch (error) {
    if (!isPolyphonyError(error) || error.code !== 'revision-expired') throw error
    return ignored(error.code)
  } finally {
    handle.release()
  }
}

async function mergeState(
  exchange: RunContext,
  handle: DocumentHandle,
  input: RunInput,
  { at, state }: { readonly at: Version; readonly state: JsonValue },
): Promise<PatchResult['conflicts']> {
  requireAccess(exchange.principal, handle.documentId, 'write')
  const { pointer, runId } = input
  const author = exchange.principal.id
  const authorship = { author, runId, idempotencyKey: `${author} ${proposalKey(input)}` }
  const outcome = await handle.edit(authorship, (view) => {
    const before = (): JsonValue => view.read({ pointer, at })
    requireChangesWithin(exchange.principal, handle.documentId, { pointer, before, after: state })
    return view.assign(state, { pointer, at })
  })
  return outcome.result?.conflicts ?? []
}

/**
 * Names a proposal: the same thread proposing the same state, from the same version, again has not heard that it was
 * merged, because the run broke. No key of a client looks like this: those have no spaces.
 */
function proposalKey({ threadId, version, pointer, state }: RunInput): string {
  const text = JSON.stringify([threadId, version, pointer, state])
  return `ag-ui ${createHash('sha256').update(text).digest('base64url')}`
}

/** What the client said that the document does not know becomes part of it. */
async function mergeMessages(
  { principal, documents, limits, clock }: RunContext,
  documentId: string,
  { runId, messages }: RunInput,
): Promise<void> {
  requireAccess(principal, documentId, 'write')
  requireWhole(principal, documentId, 'Adding messages')
  const handle = await documents.open(documentId)
  try {
    await takeHistory(handle, { author: principal.id, runId }, messages, { limits, nowMs: clock.now() })
  } finally {
    handle.release()
  }
}

/** The client gets a snapshot, and a word on why its own state was not looked at. */
function ignored(code: ErrorCode): TakenProposal {
  return { holds: undefined, notes: [encodeCustom('polyphony.state-ignored', { code })] }
}

function isEmptyObject(state: JsonValue): boolean {
  return isJsonObject(state) && Object.keys(state).length === 0
}

/** Throws unless the request is a run by its media type. */
export function requireRunInput({ request }: Exchange): void {
  if (mediaTypeOf(request) !== 'application/json')
    throw new PolyphonyError('unsupported-media-type', 'A RunAgentInput is sent as application/json.')
}

function frame(data: string): Uint8Array {
  return encodeSse({ data })
}
