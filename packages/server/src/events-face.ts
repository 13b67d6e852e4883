import { encodeSse, encodeSseRetry, sseKeepAlive } from '@polyphony/ag-ui'
import type { Random } from '@polyphony/core'
import { requireAccess } from './authorization.ts'
import type { FeedStreams } from './feed-streams.ts'
import { readablePointer } from './pointer-scope.ts'
import { problemOf } from './problem.ts'
import { pointerParameter } from './query-parameters.ts'
import type { DocumentRequestHandler } from './request-handler.ts'

/**
 * GET /v1/documents/{id}/events: state events for `EventSource`. It resumes from `Last-Event-ID`, or from `?version=` on
 * the first request, and begins with a snapshot otherwise. `?splices` asks for splices of texts. When it ends properly, the browser connects again by itself.
 */
export function eventsHandler(streams: FeedStreams, random: Random): DocumentRequestHandler {
  return async (exchange, documentId) => {
    requireAccess(exchange.principal, documentId, 'read')
    const { query } = exchange.target
    const lastEventId = exchange.request.headers['last-event-id']
    // After an event without an id, the browser sends an empty one or none.
    const since = typeof lastEventId === 'string' && lastEventId !== '' ? lastEventId : query.get('version')
    await streams.run(exchange, {
      documentId,
      pointer: readablePointer(exchange.principal, documentId, pointerParameter(query)),
      splices: query.has('splices'),
      since: since ?? undefined,
      face: 'events',
      stays: true,
      // Spread, so that the readers of a server that restarts do not all come back at once.
      prelude: [encodeSseRetry(1_000 + (random.uint32() % 2_000)), sseKeepAlive],
      ending: undefined,
      failing: (error) => encodeSse({ event: 'problem', data: problemOf(error).body }),
    })
  }
}
