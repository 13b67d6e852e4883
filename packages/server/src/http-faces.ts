import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { isPolyphonyError, parseDocumentId, PolyphonyError, toPolyphonyError } from '@polyphony/core'
import { agUiHandler } from './ag-ui-face.ts'
import { AgentRuns } from './agent-runs.ts'
import { cancelHandler, runHandler } from './agents-face.ts'
import { AgUiSocketFace } from './ag-ui-socket-face.ts'
import { capabilitiesHandler } from './capabilities.ts'
import type { AuthorizationRequest, Principal } from './authorization.ts'
import { OriginPolicy } from './cors.ts'
import { DocumentFeeds } from './document-feeds.ts'
import { eventsHandler } from './events-face.ts'
import { FeedStreams } from './feed-streams.ts'
import { HealthFace } from './health.ts'
import { hostName, isLoopbackHost } from './host-names.ts'
import type { HttpServerParts, Upgrade } from './http-server.ts'
import { getMessages } from './messages-face.ts'
import { problemOf } from './problem.ts'
import { decodeSegment, parseRequestTarget, type RequestTarget } from './request-target.ts'
import { getDocument, getHistory, getUpdates, listDocuments } from './rest-read.ts'
import { deleteDocument, patchDocument, postUpdate, putDocument } from './rest-write.ts'
import { matchRoute, type Match, type Routes } from './router.ts'
import { StaticSite } from './static-site.ts'

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])
const knownMethods: ReadonlySet<string> = new Set([...safeMethods, 'POST', 'PUT', 'PATCH', 'DELETE'])

/** What every request goes through: Host, CORS, Origin, authorization, the route, and errors told as problems. */
export class HttpFaces {
  readonly #parts: HttpServerParts
  readonly #origins: OriginPolicy
  readonly #streams: FeedStreams
  readonly #sockets: AgUiSocketFace
  readonly #routes: Routes
  readonly #runs: AgentRuns
  readonly #health: HealthFace
  readonly #site: StaticSite | undefined

  constructor(parts: HttpServerParts) {
    this.#parts = parts
    this.#origins = new OriginPolicy(parts.origins)
    const { documents, clock, telemetry, limits, connections, random, metrics, checkReady, isClosing } = parts
    const { logger, agents = {} } = parts
    const feed = { frameBytesMax: limits.snapshotBytesMax, ...parts.feed }
    this.#streams = new FeedStreams({
      feeds: new DocumentFeeds({ documents, clock, telemetry, logger, limits, feed }),
      connections,
      clock,
      telemetry,
      limits,
      keepAliveMs: parts.keepAliveMs ?? 15_000,
    })
    this.#runs = new AgentRuns({ agents, clock, random, limits, logger, telemetry })
    this.#sockets = new AgUiSocketFace({ ...parts, streams: this.#streams })
    this.#health = new HealthFace({ metrics, clock, checkReady, isClosing })
    this.#site = parts.site === undefined ? undefined : new StaticSite(parts.site)
    this.#routes = {
      paths: { '/v1/documents': { GET: listDocuments } },
      documents: {
        '': { GET: getDocument, PUT: putDocument, PATCH: patchDocument, DELETE: deleteDocument },
        '/updates': { GET: getUpdates, POST: postUpdate },
        '/history': { GET: getHistory },
        '/events': { GET: eventsHandler(this.#streams, random) },
        '/ag-ui': { GET: capabilitiesHandler(this.#runs), POST: agUiHandler(this.#streams) },
        '/messages': { GET: getMessages },
        '/agents/{agent}': { POST: runHandler(this.#runs, this.#streams) },
        '/agents/{agent}/runs/{run}': { DELETE: cancelHandler(this.#runs) },
      },
    }
  }

  /** Answers a request; never rejects. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { clock, telemetry, logger } = this.#parts
    const startedAtMs = clock.now()
    const method = knownMethods.has(request.method ?? '') ? (request.method ?? '') : 'other'
    let route = 'none'
    let target: RequestTarget | undefined
    response.on('error', (error) => logger.debug({ error: error.message }, 'answer could not be written'))
    try {
      target = parseRequestTarget(request.url ?? '/')
      this.#setCommonHeaders(request, response)
      this.#checkHost(request)
      const match = matchRoute(this.#routes, target.path)
      route = match?.route ?? route
      if (request.method === 'OPTIONS') this.#preflight(request, response, match)
      else if (match !== undefined) await this.#run(request, response, target, match)
      else route = await this.#serveOther(request, response, target)
    } catch (error) {
      this.#fail(request, response, error, { method, path: target?.path })
    }
    telemetry.count('polyphony_http_requests_total', 1, {
      route,
      method,
      status: String(response.statusCode),
    })
    const isFeed = /\/(events|ag-ui|agents\/\{agent\})$/.test(route)
    const ms = clock.now() - startedAtMs
    if (!isFeed) telemetry.observe('polyphony_http_request_duration_ms', ms, { route, method })
    logger.debug({ method, path: target?.path, status: response.statusCode, ms }, 'request answered')
  }

  /** Checks an upgrade and hands it over. Rejects for what a WebSocket must not be opened for. */
  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { upgrade, isClosing } = this.#parts
    if (isClosing())
      throw new PolyphonyError('shutting-down', 'The server is shutting down; come back in a moment.')
    const target = parseRequestTarget(request.url ?? '/')
    const documentId = agUiDocument(target.path)
    if (upgrade === undefined && documentId === undefined)
      throw new PolyphonyError('route-not-found', 'This server takes no WebSockets here.')
    this.#checkHost(request)
    // A page of another site can open a WebSocket here without asking, and the browser lends it the user's network.
    this.#origins.check(request.headers)
    const admission = await this.#admit(request, target)
    if (socket.destroyed) return
    if (documentId !== undefined) {
      this.#sockets.accept({ request, socket, head, documentId, admission })
      return
    }
    // The host does not matter to whoever reads path and query.
    upgrade?.({ request, socket, head, url: new URL(target.redacted, 'http://server'), admission })
  }

  /** Ends all feeds and runs of agents. Resolves when the runs have noted that. */
  async stop(): Promise<void> {
    const ended = this.#runs.stop()
    this.#streams.stop()
    this.#sockets.stop()
    await ended
  }

  async #run(
    request: IncomingMessage,
    response: ServerResponse,
    target: RequestTarget,
    match: Match,
  ): Promise<void> {
    const { documents, limits, logger, clock } = this.#parts
    if (!safeMethods.has(request.method ?? '')) this.#origins.check(request.headers)
    const principal = await this.#authorize(
      request,
      target,
      match.route.endsWith('/events') ? 'events' : 'http',
    )
    await match.run({ request, response, target, principal, documents, limits, logger, clock })
  }

  /** Health, metrics and the site, which everybody may see. Returns the route. */
  async #serveOther(
    request: IncomingMessage,
    response: ServerResponse,
    { path }: RequestTarget,
  ): Promise<string> {
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    if (this.#health.knows(path)) {
      if (!isRead) {
        response.setHeader('allow', 'GET, HEAD, OPTIONS')
        throw new PolyphonyError('method-not-allowed', `${path} takes GET.`)
      }
      await this.#health.answer(path, request, response)
      return path
    }
    if (isRead && (await this.#site?.serve(request, response, path)) === true) return 'site'
    throw new PolyphonyError(
      'route-not-found',
      'There is nothing at this address. Documents are at /v1/documents/{id}.',
    )
  }

  #setCommonHeaders(request: IncomingMessage, response: ServerResponse): void {
    response.setHeader('x-content-type-options', 'nosniff')
    for (const [name, value] of Object.entries(this.#origins.headers(request.headers)))
      response.setHeader(name, value)
    if (this.#parts.isClosing()) response.setHeader('connection', 'close')
  }

  #checkHost({ headers: { host = '' } }: IncomingMessage): void {
    const { hosts } = this.#parts
    if (hosts === 'any') return
    if (hosts === 'loopback' ? isLoopbackHost(host) : hosts.includes(hostName(host))) return
    throw new PolyphonyError(
      'host-refused',
      `This server is not known as "${host}". The operator can add the name.`,
    )
  }

  #preflight(request: IncomingMessage, response: ServerResponse, match: Match | undefined): void {
    const allow = (match?.methods ?? ['GET', 'HEAD', 'OPTIONS']).join(', ')
    response.writeHead(204, { allow, ...this.#origins.preflightHeaders(request.headers) }).end()
  }

  async #admit(request: IncomingMessage, target: RequestTarget): Promise<Upgrade['admission']> {
    try {
      return { principal: await this.#authorize(request, target, 'websocket') }
    } catch (error) {
      if (!isPolyphonyError(error)) this.#parts.logger.error({ error: String(error) }, 'authorize failed')
      return {
        refusal: isPolyphonyError(error) ? error : new PolyphonyError('internal', 'Authorization failed.'),
      }
    }
  }

  async #authorize(
    request: IncomingMessage,
    target: RequestTarget,
    transport: AuthorizationRequest['transport'],
  ): Promise<Principal> {
    const bearer = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1]
    return await this.#parts.authorize({
      transport,
      // Elsewhere tokens in addresses would only end up in histories and logs.
      token: bearer ?? (transport === 'http' ? undefined : target.token),
      headers: request.headers,
      url: target.redacted,
      remoteAddress: request.socket.remoteAddress,
    })
  }

  #fail(
    request: IncomingMessage,
    response: ServerResponse,
    thrown: unknown,
    about: { readonly method: string; readonly path: string | undefined },
  ): void {
    const { logger, telemetry } = this.#parts
    const isGone = response.destroyed || (request.destroyed && !request.complete)
    if (isGone) {
      logger.debug({ ...about, error: String(thrown) }, 'client went away before its answer')
      response.destroy()
      return
    }
    const problem = problemOf(thrown)
    telemetry.count('polyphony_errors_total', 1, { face: 'http', code: problem.code })
    if (problem.status >= 500) {
      const error = toPolyphonyError(thrown)
      logger.error(
        { ...about, code: problem.code, error: error.message, stack: error.stack },
        'request failed',
      )
    }
    if (response.headersSent) {
      // Half an answer must not look like a whole one.
      response.destroy()
      return
    }
    response
      .writeHead(problem.status, { ...problem.headers, 'content-length': Buffer.byteLength(problem.body) })
      .end(request.method === 'HEAD' ? undefined : problem.body)
  }
}

/** The document whose AG-UI feed a WebSocket is for. Throws `invalid-document-id`. */
function agUiDocument(path: string): string | undefined {
  const segment = /^\/v1\/documents\/([^/]+)\/ag-ui$/.exec(path)?.[1]
  return segment === undefined ? undefined : parseDocumentId(decodeSegment(segment))
}
