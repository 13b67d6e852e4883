/**
 * Every error that leaves the project carries one of these codes. Codes are stable: clients and operators match on
 * them; messages may improve freely. Documentation and tests iterate this table.
 *
 * - `status`: the HTTP status of an answer that carries it.
 * - `close`: the WebSocket close code of a session that ends with it.
 * - `retry`: whether sending the very same request again later can succeed.
 */
export const errorTable = {
  'invalid-request': { status: 400, close: 4400, retry: false, title: 'The request is malformed' },
  'invalid-document-id': { status: 400, close: 4400, retry: false, title: 'The document id is not valid' },
  'invalid-token': { status: 400, close: 4400, retry: false, title: 'The version token is malformed' },
  'invalid-update': { status: 400, close: 4400, retry: false, title: 'The bytes are not a Yjs update' },
  'invalid-frame': { status: 400, close: 4400, retry: false, title: 'The WebSocket frame is malformed' },
  unauthorized: { status: 401, close: 4401, retry: false, title: 'A valid token is needed' },
  forbidden: { status: 403, close: 4403, retry: false, title: 'The token does not grant this' },
  'pointer-forbidden': {
    status: 403,
    close: 4403,
    retry: false,
    title: 'The token does not grant this part of the document',
  },
  'origin-refused': { status: 403, close: 4403, retry: false, title: 'The Origin is not on the allow-list' },
  'host-refused': { status: 403, close: 4403, retry: false, title: 'The Host is not a name of this server' },
  'document-not-found': { status: 404, close: 4404, retry: false, title: 'There is no such document' },
  'route-not-found': { status: 404, close: 4404, retry: false, title: 'There is no such address' },
  'pointer-not-found': { status: 404, close: 4404, retry: false, title: 'The JSON pointer leads nowhere' },
  'agent-not-found': { status: 404, close: 4404, retry: false, title: 'There is no such agent' },
  'run-not-found': { status: 404, close: 4404, retry: false, title: 'No such run is under way' },
  'method-not-allowed': {
    status: 405,
    close: 4400,
    retry: false,
    title: 'The address does not know this method',
  },
  'not-acceptable': {
    status: 406,
    close: 4400,
    retry: false,
    title: 'None of the accepted types can be made',
  },
  conflict: { status: 409, close: 4409, retry: false, title: 'The patch conflicts with what others did' },
  'test-failed': { status: 409, close: 4409, retry: false, title: 'A `test` operation did not hold' },
  'incarnation-mismatch': {
    status: 409,
    close: 4409,
    retry: false,
    title: 'The document was created anew since that version',
  },
  'revision-expired': { status: 409, close: 4409, retry: false, title: 'That version is no longer retained' },
  'document-exists': { status: 409, close: 4409, retry: false, title: 'The document exists already' },
  'run-exists': { status: 409, close: 4409, retry: false, title: 'The document knows a run of that id' },
  'run-cancelled': { status: 409, close: 4409, retry: false, title: 'The run was stopped on request' },
  'document-deleted': { status: 410, close: 4410, retry: false, title: 'The document was deleted' },
  'precondition-failed': {
    status: 412,
    close: 4412,
    retry: false,
    title: 'The document has moved on from If-Match',
  },
  'frame-too-large': { status: 413, close: 1009, retry: false, title: 'The frame exceeds the limit' },
  'body-too-large': { status: 413, close: 1009, retry: false, title: 'The request body exceeds the limit' },
  'document-too-large': {
    status: 413,
    close: 4413,
    retry: false,
    title: 'The document would exceed its limit',
  },
  'patch-too-large': { status: 413, close: 4413, retry: false, title: 'The patch exceeds a limit' },
  'update-too-large': { status: 413, close: 4413, retry: false, title: 'The update exceeds a limit' },
  'message-too-large': { status: 413, close: 4413, retry: false, title: 'The message exceeds a limit' },
  'unsupported-media-type': {
    status: 415,
    close: 4400,
    retry: false,
    title: 'The media type is not supported',
  },
  'invalid-patch': { status: 422, close: 4422, retry: false, title: 'The patch cannot be applied' },
  'invalid-value': { status: 422, close: 4422, retry: false, title: 'The value cannot be stored' },
  'too-many-messages': {
    status: 422,
    close: 4422,
    retry: false,
    title: 'The document has as many messages as it may',
  },
  'too-many-documents': {
    status: 429,
    close: 4429,
    retry: true,
    title: 'The limit of open documents is reached',
  },
  'too-many-connections': {
    status: 429,
    close: 4429,
    retry: true,
    title: 'The limit of connections is reached',
  },
  'too-many-runs': {
    status: 429,
    close: 4429,
    retry: true,
    title: 'The limit of runs under way is reached',
  },
  'rate-limited': { status: 429, close: 4429, retry: true, title: 'Too many requests' },
  'slow-consumer': {
    status: 429,
    close: 4429,
    retry: true,
    title: 'The connection does not read fast enough',
  },
  internal: { status: 500, close: 1011, retry: true, title: 'Something broke inside' },
  'agent-failed': { status: 502, close: 1011, retry: true, title: 'The agent did not do its part' },
  'agent-timeout': { status: 504, close: 1011, retry: true, title: 'The agent did not answer in time' },
  'store-failed': { status: 503, close: 1013, retry: true, title: 'The store does not answer' },
  'store-corrupt': {
    status: 503,
    close: 1013,
    retry: false,
    title: 'Stored bytes do not match their checksum',
  },
  'store-misconfigured': {
    status: 503,
    close: 1013,
    retry: false,
    title: 'What is stored was written with other settings',
  },
  'store-locked': {
    status: 503,
    close: 1013,
    retry: false,
    title: 'The store is open in another process',
  },
  'store-closed': { status: 503, close: 1013, retry: true, title: 'The store is closed' },
  'outcome-unknown': {
    status: 503,
    close: 1013,
    retry: true,
    title: 'It is not known whether the write was stored',
  },
  overloaded: { status: 503, close: 1013, retry: true, title: 'Too much is waiting to be stored' },
  unreachable: { status: 503, close: 1013, retry: true, title: 'The server cannot be reached' },
  'shutting-down': { status: 503, close: 1012, retry: true, title: 'The server is shutting down' },
} as const satisfies Record<string, { status: number; close: number; retry: boolean; title: string }>

export type ErrorCode = keyof typeof errorTable

export interface ErrorDetails {
  /** The document that it happened to. */
  readonly documentId?: string | undefined
  /** Zero-based index of the offending operation of a patch. */
  readonly index?: number | undefined
  /** The limit that was hit, by its name in the table of limits. */
  readonly limit?: string | undefined
  /** Further JSON-safe members for the problem document. Never secrets. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined
  readonly cause?: unknown
}

const marker = Symbol.for('polyphony.error')

/** The one error class of the project. Recognise it with `isPolyphonyError`, which survives duplicate packages. */
export class PolyphonyError extends Error {
  readonly code: ErrorCode
  readonly details: ErrorDetails
  readonly [marker] = true

  /** @param message what happened, to which document, and what to do next. */
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'PolyphonyError'
    this.code = code
    this.details = details
  }

  get status(): number {
    return errorTable[this.code].status
  }

  get close(): number {
    return errorTable[this.code].close
  }

  get retry(): boolean {
    return errorTable[this.code].retry
  }
}

export function isPolyphonyError(value: unknown): value is PolyphonyError {
  return typeof value === 'object' && value !== null && marker in value
}

/** Wraps what was thrown by something else; errors of ours pass through unchanged. */
export function toPolyphonyError(
  value: unknown,
  code: ErrorCode = 'internal',
  details: ErrorDetails = {},
): PolyphonyError {
  if (isPolyphonyError(value)) return value
  const message = value instanceof Error ? value.message : String(value)
  return new PolyphonyError(code, message, { ...details, cause: value })
}

/** For `switch` statements that must name every case. */
export function assertNever(value: never): never {
  throw new Error(`Unexpected value: ${JSON.stringify(value)}`)
}

/** Broken invariants stop the work at hand; this stays on in production. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new PolyphonyError('internal', `Broken invariant: ${message}`)
}
