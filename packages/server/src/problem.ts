import { errorTable, isPolyphonyError, PolyphonyError, type ErrorCode } from '@polyphony/core'

/** An error as HTTP tells it (RFC 9457), ready to be sent. */
export interface Problem {
  readonly status: number
  readonly code: ErrorCode
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export const problemType = 'application/problem+json'

/**
 * The problem document of anything that was thrown. What is not an error of ours is told as `internal`, without its
 * message, which may hold what is nobody's business.
 */
export function problemOf(thrown: unknown): Problem {
  const error = isPolyphonyError(thrown) ? thrown : unexpected()
  const { title, status, retry } = errorTable[error.code]
  const { documentId, index, limit, extra } = error.details
  const headers: Record<string, string> = { 'content-type': problemType, 'cache-control': 'no-store' }
  if (status === 401) headers['www-authenticate'] = 'Bearer'
  if (retry && (status === 429 || status === 503)) headers['retry-after'] = '1'
  const body = JSON.stringify({
    ...extra,
    type: `urn:polyphony:problem:${error.code}`,
    title,
    status,
    detail: error.message,
    code: error.code,
    documentId,
    index,
    limit,
  })
  return { status, code: error.code, headers, body }
}

function unexpected(): PolyphonyError {
  return new PolyphonyError('internal', 'Something broke inside. The log of the server has the details.')
}
