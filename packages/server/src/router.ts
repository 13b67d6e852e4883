import { isPolyphonyError, parseDocumentId, PolyphonyError } from '@polyphony/core'
import type { DocumentRequestHandler, Exchange, RequestHandler } from './request-handler.ts'
import { decodeSegment } from './request-target.ts'

type Methods<Handler> = Readonly<Record<string, Handler>>

export interface Routes {
  /** Exact paths. */
  readonly paths: Readonly<Record<string, Methods<RequestHandler>>>
  /** By what follows `/v1/documents/{id}`: '' or `/events` and so on, with `{agent}` and `{run}` for any name. */
  readonly documents: Readonly<Record<string, Methods<DocumentRequestHandler>>>
}

export interface Match {
  /** The address as it stands in the documentation, for metrics. */
  readonly route: string
  readonly methods: readonly string[]
  /** Throws `method-not-allowed`, or `invalid-document-id`. */
  run(exchange: Exchange): Promise<void>
}

const documentPath = /^\/v1\/documents\/([^/]+)(\/.*)?$/

/** Finds who answers a path. HEAD is answered like GET, by the same handler. */
export function matchRoute(routes: Routes, path: string): Match | undefined {
  const exact = Object.hasOwn(routes.paths, path) ? routes.paths[path] : undefined
  if (exact !== undefined) return match(path, exact, (handler, exchange) => handler(exchange))
  const [, segment, found = ''] = documentPath.exec(path) ?? []
  const below = found.replace(/^(\/agents)\/[^/]+/, '$1/{agent}').replace(/(\/runs)\/[^/]+$/, '$1/{run}')
  if (segment === undefined || !Object.hasOwn(routes.documents, below)) return undefined
  const methods = routes.documents[below]
  if (methods === undefined) return undefined
  return match(`/v1/documents/{id}${below}`, methods, async (handler, exchange) => {
    const documentId = parseDocumentId(decodeSegment(segment))
    try {
      await handler(exchange, documentId)
    } catch (error) {
      throw naming(documentId, error)
    }
  })
}

/** Errors of parts that know of no documents say which one it was all the same. */
function naming(documentId: string, error: unknown): unknown {
  if (!isPolyphonyError(error) || error.details.documentId !== undefined) return error
  return new PolyphonyError(error.code, error.message, { ...error.details, documentId, cause: error })
}

function match<Handler>(
  route: string,
  handlers: Methods<Handler>,
  run: (handler: Handler, exchange: Exchange) => Promise<void>,
): Match {
  const methods = Object.keys(handlers)
  if (methods.includes('GET')) methods.push('HEAD')
  methods.push('OPTIONS')
  return {
    route,
    methods,
    async run(exchange) {
      const method = exchange.request.method === 'HEAD' ? 'GET' : (exchange.request.method ?? '')
      const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined
      if (handler === undefined) {
        exchange.response.setHeader('allow', methods.join(', '))
        throw new PolyphonyError('method-not-allowed', `${route} takes ${methods.join(', ')}.`)
      }
      await run(handler, exchange)
    },
  }
}
