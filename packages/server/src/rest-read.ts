import type { DocumentInfo } from '@polyphony/storage'
import { PolyphonyError, parseDocumentId } from '@polyphony/core'
import * as Y from 'yjs'
import { sendBytes, sendEmpty, sendJson, sendState } from './answer.ts'
import { requireAccess } from './authorization.ts'
import type { DocumentHandle } from './document-handle.ts'
import { readablePointer, requireWhole } from './pointer-scope.ts'
import { isNotModified } from './preconditions.ts'
import { pointerParameter, countParameter } from './query-parameters.ts'
import type { Exchange } from './request-handler.ts'
import { formatRevision, formatVersion, requireVersion } from './version-token.ts'

/** GET and HEAD /v1/documents/{id}: the body is the state itself, whole or at `?path=`, now or `?at=` a version. */
export async function getDocument(exchange: Exchange, documentId: string): Promise<void> {
  requireAccess(exchange.principal, documentId, 'read')
  const { query } = exchange.target
  const pointer = readablePointer(exchange.principal, documentId, pointerParameter(query))
  const at = query.get('at') ?? undefined
  await withDocument(exchange, documentId, async (handle) => {
    const headersOf = (token: string) => ({
      etag: `"${token}"`,
      'polyphony-version': token,
      'cache-control': 'no-cache',
    })
    const current = at ?? formatRevision(handle.revision, handle.incarnation)
    if (isNotModified(exchange.request.headers, current)) {
      sendEmpty(exchange, 304, headersOf(current))
      return
    }
    const { cursor, token } = await handle.read((view) => {
      const version = at === undefined ? view.version : requireVersion(at, handle)
      return {
        cursor: view.cursor({ pointer, at: version }),
        token: formatVersion(version, handle.incarnation),
      }
    })
    if (exchange.request.method === 'HEAD') {
      sendEmpty(exchange, 200, { 'content-type': 'application/json', ...headersOf(token) })
    } else {
      await sendState(exchange, cursor, headersOf(token))
    }
  })
}

/** GET /v1/documents/{id}/updates: the state as one Yjs update, or what `?sv=` (a state vector in base64url) lacks. */
export async function getUpdates(exchange: Exchange, documentId: string): Promise<void> {
  requireAccess(exchange.principal, documentId, 'read')
  requireWhole(exchange.principal, documentId, 'A Yjs update')
  const stateVector = stateVectorParameter(exchange.target.query)
  await withDocument(exchange, documentId, async (handle) => {
    // Taken before the state, so that it never claims more than the body holds.
    const token = formatRevision(handle.revision, handle.incarnation)
    const updates = await handle.encode(stateVector)
    const [first] = updates
    const body = updates.length === 1 && first !== undefined ? first : Y.mergeUpdates([...updates])
    await sendBytes(exchange, body, { 'polyphony-version': token, 'cache-control': 'no-cache' })
  })
}

/**
 * GET /v1/documents/{id}/history: who changed the document when, the newest first, as far back as its log is retained.
 * `?before=` an entry's version gives the next page.
 */
export async function getHistory(exchange: Exchange, documentId: string): Promise<void> {
  requireAccess(exchange.principal, documentId, 'read')
  requireWhole(exchange.principal, documentId, 'The history')
  const { query } = exchange.target
  const limit = countParameter(query, 'limit', { default: 100, max: 1_000 })
  const token = query.get('before')
  await withDocument(exchange, documentId, async (handle) => {
    const before = token === null ? undefined : requireVersion(token, handle).revision
    const { incarnation, entries, hasMore } = await exchange.documents.history(documentId, { before, limit })
    const last = entries.at(-1)
    sendJson(
      exchange,
      200,
      {
        entries: entries.map(({ revision, author, runId, committedAtMs, bytes }) => ({
          version: formatRevision(revision, incarnation),
          author,
          runId,
          time: new Date(committedAtMs).toISOString(),
          bytes,
        })),
        ...(hasMore && last !== undefined ? { next: formatRevision(last.revision, incarnation) } : {}),
      },
      { 'cache-control': 'no-cache' },
    )
  })
}

/** GET /v1/documents: ids in the order of their bytes, as far as the principal may read them. */
export async function listDocuments(exchange: Exchange): Promise<void> {
  const { query } = exchange.target
  const limit = countParameter(query, 'limit', { default: 100, max: 1_000 })
  const prefix = query.get('prefix') ?? undefined
  const after = query.get('after') ?? undefined
  const found: DocumentInfo[] = []
  let seen = 0
  let last = after
  let isComplete = true
  for await (const info of exchange.documents.list({ prefix, after })) {
    if (found.length === limit || seen === scannedMax) {
      isComplete = false
      break
    }
    seen += 1
    last = info.documentId
    if (exchange.principal.access(info.documentId) !== 'none') found.push(info)
  }
  sendJson(exchange, 200, {
    documents: found.map(({ documentId, incarnation, revision, bytes }) => ({
      id: documentId,
      version: formatRevision(revision, incarnation),
      bytes,
    })),
    ...(isComplete ? {} : { next: last }),
  })
}

/** Documents that one request looks at; a principal that may read few of many gets them in several pages. */
const scannedMax = 10_000

async function withDocument(
  exchange: Exchange,
  documentId: string,
  task: (handle: DocumentHandle) => Promise<void>,
): Promise<void> {
  const handle = await exchange.documents.open(parseDocumentId(documentId), { mustExist: true })
  try {
    await task(handle)
  } finally {
    handle.release()
  }
}

function stateVectorParameter(query: URLSearchParams): Uint8Array | undefined {
  const text = query.get('sv')
  if (text === null) return undefined
  try {
    const bytes = Buffer.from(text, 'base64url')
    Y.decodeStateVector(bytes)
    return bytes
  } catch (cause) {
    throw new PolyphonyError('invalid-request', '"sv" is a Yjs state vector in base64url.', { cause })
  }
}
