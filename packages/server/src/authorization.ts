import { PolyphonyError } from '@polyphony/core'
import { isLoopbackAddress } from './host-names.ts'
import type { PointerScope } from './pointer-scope.ts'

export type Access = 'none' | 'read' | 'write'

/** Who is asking, as far as the server needs to know. */
export interface Principal {
  /** Written into the log as the author of what this principal changes. */
  readonly id: string
  access(documentId: string): Access
  /** The parts of a document that `access` is limited to. Absent, or `undefined`: all of it. */
  scope?(documentId: string): PointerScope | undefined
  /** When what it may do ends; feeds end then. Absent: never. */
  readonly expiresAtMs?: number | undefined
}

/** What an `authorize` hook decides on. Nothing in it comes from the body of the request. */
export interface AuthorizationRequest {
  readonly transport: 'http' | 'events' | 'websocket'
  /** From `Authorization: Bearer`, or from `?token=` on WebSocket and EventSource; never logged. */
  readonly token: string | undefined
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** Path and query as they came in, without the token. */
  readonly url: string
  /** Of the peer of the socket: behind a proxy, the proxy's. */
  readonly remoteAddress: string | undefined
}

/**
 * Decides who a request is from. Throws (or rejects with) a `PolyphonyError`, as a rule `unauthorized`, to refuse it;
 * whatever else it throws answers 500. Called once per HTTP request and once per WebSocket upgrade.
 */
export type Authorize = (request: AuthorizationRequest) => Principal | Promise<Principal>

/**
 * For servers without a secret: everybody on this machine may do everything, nobody else may do anything. Refuses peers
 * that are not on loopback, so that a mistake in the listening address does not open the documents to the network.
 */
export function loopbackOnly(): Authorize {
  const principal: Principal = { id: 'local', access: () => 'write' }
  return ({ remoteAddress }) => {
    if (isLoopbackAddress(remoteAddress)) return principal
    throw new PolyphonyError(
      'unauthorized',
      'This server has no secret and answers this machine only. Start it with an authorization secret to serve others.',
    )
  }
}

/** Throws `forbidden` unless `principal` may do `access` with the document. */
export function requireAccess(principal: Principal, documentId: string, access: 'read' | 'write'): void {
  const granted = principal.access(documentId)
  if (granted === 'write' || granted === access) return
  throw new PolyphonyError(
    'forbidden',
    granted === 'read'
      ? `The token grants reading "${documentId}", not writing it.`
      : `The token does not grant access to "${documentId}".`,
    { documentId },
  )
}

/** Throws `unauthorized` when what `principal` may do has ended: for connections that ask more than once. */
export function requireUnexpired({ expiresAtMs }: Principal, nowMs: number): void {
  if (expiresAtMs !== undefined && expiresAtMs <= nowMs) throw tokenExpired()
}

/** What ends a feed, or refuses a run, whose token is no longer valid. */
export function tokenExpired(): PolyphonyError {
  return new PolyphonyError('unauthorized', 'The token has expired; come back with a new one.')
}
