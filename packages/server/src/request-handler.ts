import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock, Limits, Logger } from '@polyphony/core'
import type { Principal } from './authorization.ts'
import type { Documents } from './document-handle.ts'
import type { RequestTarget } from './request-target.ts'

/** One request that got past Host, Origin and authorization, and what it needs to be answered. */
export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly target: RequestTarget
  readonly principal: Principal
  readonly documents: Documents
  readonly limits: Limits
  readonly logger: Logger
  readonly clock: Clock
}

/** Answers a request, or throws what becomes a problem document. */
export type RequestHandler = (exchange: Exchange) => Promise<void>

/** The same for an address below a document; access has not been checked. */
export type DocumentRequestHandler = (exchange: Exchange, documentId: string) => Promise<void>
