import { sendJson } from './answer.ts'
import { requireAccess } from './authorization.ts'
import type { DocumentRequestHandler } from './request-handler.ts'

/**
 * GET /v1/documents/{id}/ag-ui: what a run of this document can do, in the shape of AG-UI's `AgentCapabilities`, which
 * `getCapabilities` of a client returns. It tells what is there and claims nothing else.
 */
// oxlint-disable-next-line typescript/require-await -- a handler answers asynchronously
export const getCapabilities: DocumentRequestHandler = async (exchange, documentId) => {
  const { principal } = exchange
  requireAccess(principal, documentId, 'read')
  const scope = principal.scope?.(documentId)
  const polyphony = {
    modes: ['watch', 'sync'],
    resumesFromVersion: true,
    splices: true,
    access: principal.access(documentId),
    ...(scope === undefined ? {} : { granted: { read: scope.read, write: scope.write } }),
  }
  sendJson(
    exchange,
    200,
    {
      identity: {
        name: documentId,
        type: 'polyphony-document',
        description: 'Shared state that people and agents change at the same time.',
      },
      transport: {
        streaming: true,
        websocket: true,
        httpBinary: true,
        pushNotifications: false,
        // Runs resume from a version in forwardedProps; the mechanism that the protocol means by this is not defined.
        resumable: false,
      },
      state: { snapshots: true, deltas: true, memory: true, persistentState: true },
      tools: { supported: false },
      multiAgent: { supported: false },
      reasoning: { supported: false },
      humanInTheLoop: { supported: false },
      custom: { polyphony },
    },
    { 'cache-control': 'no-cache' },
  )
}
