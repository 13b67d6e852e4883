import type { IncomingHttpHeaders } from 'node:http'
import { PolyphonyError } from '@polyphony/core'

const allowedMethods = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'
const allowedHeaders =
  'Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Polyphony-Anchor, Polyphony-Run-Id'
const exposedHeaders = 'Allow, ETag, Link, Location, Polyphony-Version, Retry-After, WWW-Authenticate'

/**
 * Which pages may use the server: those it serves itself, and those of the origins on its list. The same list answers
 * CORS and guards WebSocket upgrades and requests that change something, which browsers send without asking first.
 */
export class OriginPolicy {
  readonly #origins: ReadonlySet<string>
  readonly #all: boolean

  /** Throws `TypeError` for an entry that is not an origin, such as one with a path. */
  constructor(origins: readonly string[] = []) {
    this.#all = origins.includes('*')
    this.#origins = new Set(origins.filter((origin) => origin !== '*').map(parseOrigin))
  }

  /** Whether the request is from no page at all, a page of this server, or one of an allowed origin. */
  allows(headers: IncomingHttpHeaders): boolean {
    const { origin } = headers
    if (origin === undefined) return true
    return this.#isListed(origin) || isSameOrigin(origin, headers.host)
  }

  /** Throws `origin-refused` unless `allows`. */
  check(headers: IncomingHttpHeaders): void {
    if (this.allows(headers)) return
    throw new PolyphonyError(
      'origin-refused',
      `Pages from ${headers.origin} may not do this here. The operator can add the origin to the list.`,
    )
  }

  /** What an answer has to say to a browser, an answer to any origin. */
  headers({ origin }: IncomingHttpHeaders): Record<string, string> {
    if (this.#all)
      return { 'access-control-allow-origin': '*', 'access-control-expose-headers': exposedHeaders }
    if (origin === undefined || !this.#isListed(origin))
      return this.#origins.size === 0 ? {} : { vary: 'Origin' }
    return {
      vary: 'Origin',
      'access-control-allow-origin': origin,
      'access-control-expose-headers': exposedHeaders,
    }
  }

  /** The further headers of the answer to a preflight request. */
  preflightHeaders(headers: IncomingHttpHeaders): Record<string, string> {
    if (headers.origin === undefined || !this.#isListed(headers.origin)) return {}
    return {
      'access-control-allow-methods': allowedMethods,
      'access-control-allow-headers': allowedHeaders,
      'access-control-max-age': '600',
    }
  }

  #isListed(origin: string): boolean {
    return this.#all || this.#origins.has(origin)
  }
}

function parseOrigin(entry: string): string {
  const origin = URL.canParse(entry) ? new URL(entry).origin : ''
  // Browsers send origins in exactly this form, so anything else would never match.
  if (origin === 'null' || origin === '' || origin !== entry.replace(/\/$/, '')) {
    throw new TypeError(`"${entry}" is not an origin such as https://app.example or http://localhost:5173.`)
  }
  return origin
}

function isSameOrigin(origin: string, host: string | undefined): boolean {
  return host !== undefined && URL.canParse(origin) && new URL(origin).host === host.toLowerCase()
}
