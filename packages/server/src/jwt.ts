import { PolyphonyError } from '@polyphony/core'
import { errors, jwtVerify, type JWTPayload } from 'jose'
import type { Authorize, Principal } from './authorization.ts'
import { compileDocumentGlob } from './document-glob.ts'

export interface JwtOptions {
  /** Shared with whoever signs the tokens. At least 32 bytes, as RFC 7518 asks for HS256. */
  readonly secret: string | Uint8Array
  /** Difference between the clocks of signer and server that is tolerated. Default 5,000. */
  readonly clockToleranceMs?: number | undefined
}

/**
 * Principals from JSON Web Tokens signed with HS256. Claims: `sub` (who), `documents` (patterns), `access` (`read` or
 * `write`), and `exp` or `nbf` if wanted. Every other algorithm, `none` included, is refused.
 * Throws `TypeError` for a secret that is too short.
 */
export function jwtAuthorizer(options: JwtOptions): Authorize {
  const secret =
    typeof options.secret === 'string' ? new TextEncoder().encode(options.secret) : options.secret
  if (secret.byteLength < 32) {
    throw new TypeError(`A secret for HS256 has at least 32 bytes; this one has ${secret.byteLength}.`)
  }
  const clockTolerance = (options.clockToleranceMs ?? 5_000) / 1_000
  return async ({ token }) => {
    if (token === undefined)
      throw new PolyphonyError('unauthorized', 'A token is needed: Authorization: Bearer …')
    const payload = await verify(token, secret, clockTolerance)
    return principalOf(payload)
  }
}

async function verify(token: string, secret: Uint8Array, clockTolerance: number): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, secret, { algorithms: ['HS256'], clockTolerance })).payload
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error
    const detail = error instanceof errors.JWTExpired ? 'The token has expired.' : 'The token is not valid.'
    throw new PolyphonyError('unauthorized', detail, { cause: error })
  }
}

/** Checks the claims; a token that says too little or something else grants nothing. */
function principalOf(claims: JWTPayload): Principal {
  const { sub, documents, access, exp } = claims
  if (
    typeof sub !== 'string' ||
    sub.length < 1 ||
    sub.length > 256 ||
    !isPatternList(documents) ||
    (access !== 'read' && access !== 'write')
  ) {
    throw new PolyphonyError(
      'unauthorized',
      'The token needs the claims "sub" (1 to 256 characters), "documents" (a list of at most 100 patterns) and ' +
        '"access" ("read" or "write").',
    )
  }
  const patterns = documents.map(compileDocumentGlob)
  return {
    id: sub,
    access: (documentId) => (patterns.some((matches) => matches(documentId)) ? access : 'none'),
    expiresAtMs: exp === undefined ? undefined : exp * 1_000,
  }
}

function isPatternList(value: unknown): value is string[] {
  return (
    Array.isArray(value) &&
    value.length <= 100 &&
    value.every((pattern) => typeof pattern === 'string' && pattern.length <= 512)
  )
}
