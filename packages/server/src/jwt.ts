import { PolyphonyError } from '@polyphony/core'
import { errors, jwtVerify, type JWTPayload } from 'jose'
import type { Authorize, Principal } from './authorization.ts'
import { readGrants, type Grant } from './token-grants.ts'

export interface JwtOptions {
  /** Shared with whoever signs the tokens. At least 32 bytes, as RFC 7518 asks for HS256. */
  readonly secret: string | Uint8Array
  /** Difference between the clocks of signer and server that is tolerated. Default 5,000. */
  readonly clockToleranceMs?: number | undefined
}

/**
 * Principals from JSON Web Tokens signed with HS256. Claims: `sub` (who), `documents` (patterns, or grants with pointers),
 * `access` (`read` or `write`), and `exp` or `nbf` if wanted. Every other algorithm, `none` included, is refused.
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
  const { sub, exp } = claims
  const grants = readGrants({ documents: claims['documents'], access: claims['access'] })
  if (typeof sub !== 'string' || sub.length < 1 || sub.length > 256 || grants === undefined) {
    throw new PolyphonyError(
      'unauthorized',
      'The token needs the claims "sub" (1 to 256 characters), "documents" (a list of at most 100 grants) and "access" ' +
        '("read" or "write"). See the documentation of tokens.',
    )
  }
  const grantOf = (documentId: string): Grant | undefined => grants.find(({ matches }) => matches(documentId))
  return {
    id: sub,
    access: (documentId) => grantOf(documentId)?.access ?? 'none',
    scope: (documentId) => grantOf(documentId)?.scope,
    expiresAtMs: exp === undefined ? undefined : exp * 1_000,
  }
}
