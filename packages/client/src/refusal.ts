import { PolyphonyError, errorTable, type ErrorCode } from '@polyphony/core'

/** What to do about a connection that ended. */
export interface Verdict {
  /** `stop`: trying again is pointless before something else changes. */
  readonly action: 'retry' | 'stop'
  /** Why; absent for a network that simply went away. */
  readonly error?: PolyphonyError | undefined
}

export interface ConnectionEnd {
  readonly documentId: string
  /** Of the close event; undefined when this side closed. */
  readonly code?: number | undefined
  readonly reason?: string | undefined
  /** What the server said before it closed. */
  readonly denied?: PolyphonyError | undefined
  /** Whether a new attempt would carry a new token. */
  readonly canRenewToken: boolean
  /** Connections that ended with this very code since the last one that synced, this one included. */
  readonly repeats: number
}

/** A connection gets so many chances where only the repetition shows that it is hopeless. */
const repeatsMax = 3

/** Judges the end of a connection. */
export function judgeEnd(end: ConnectionEnd): Verdict {
  const error = end.denied ?? errorOfClose(end)
  if (error === undefined) return { action: 'retry' }
  if (error.retry) return { action: 'retry', error }
  // A live update may be too large where the step 2 of a new connection is not.
  const mayChange = error.code === 'frame-too-large' || (error.code === 'unauthorized' && end.canRenewToken)
  const isHopeful = isStoreTrouble(error.code) || (mayChange && end.repeats < repeatsMax)
  return { action: isHopeful ? 'retry' : 'stop', error }
}

/** Reads what `permissionDenied` says: a code, a colon, a message. */
export function readDenial(text: string, documentId: string): PolyphonyError {
  const [, code = '', message = ''] = /^([a-z-]+): (.*)$/s.exec(text) ?? []
  return isErrorCode(code)
    ? new PolyphonyError(code, message, { documentId })
    : new PolyphonyError('forbidden', text, { documentId })
}

/** Of an attempt that led to no connection. Browsers do not tell pages why: a refused origin looks like a server that is off. */
export function unreachableError(place: {
  readonly url: string
  readonly documentId: string
}): PolyphonyError {
  const { origin } = new URL(place.url)
  const { documentId } = place
  const message = `No WebSocket to ${origin}: nothing answers there, or it does not allow this page's origin.`
  return new PolyphonyError('unreachable', message, { documentId })
}

/** Of an edit in a session that the server only lets read. */
export function readOnlyError(documentId: string): PolyphonyError {
  const message = `The token grants reading "${documentId}", not writing.`
  return new PolyphonyError('forbidden', message, { documentId })
}

/** Of what is asked of a document after its `close`. */
export function closedError(documentId: string): PolyphonyError {
  return new PolyphonyError('invalid-request', `"${documentId}" has been closed here.`, { documentId })
}

function errorOfClose({ code, reason = '', documentId }: ConnectionEnd): PolyphonyError | undefined {
  if (code === undefined) return undefined
  const known = isErrorCode(reason) ? reason : codeOfClose(code)
  if (known === undefined) return undefined
  return new PolyphonyError(known, `The server ended the connection: ${errorTable[known].title}.`, {
    documentId,
  })
}

/** Servers of others may close with our codes, or with codes of the HTTP family, without a reason. */
function codeOfClose(code: number): ErrorCode | undefined {
  if (code < 4400 || code > 4499) return undefined
  if (code === 4401) return 'unauthorized'
  if (code === 4404) return 'document-not-found'
  if (code === 4410) return 'document-deleted'
  if (code === 4429) return 'rate-limited'
  return code === 4403 ? 'forbidden' : 'invalid-request'
}

/** An operator can repair these while clients wait. */
function isStoreTrouble(code: ErrorCode): boolean {
  return errorTable[code].status === 503
}

function isErrorCode(value: string): value is ErrorCode {
  return Object.hasOwn(errorTable, value)
}
