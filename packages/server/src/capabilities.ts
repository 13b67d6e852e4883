import type { AgentRuns } from './agent-runs.ts'
import { sendJson } from './answer.ts'
import { requireAccess } from './authorization.ts'
import type { DocumentRequestHandler } from './request-handler.ts'

/**
 * GET /v1/documents/{id}/ag-ui: what a run of this document can do, in the shape of AG-UI's `AgentCapabilities`, which
 * `getCapabilities` of a client returns. It tells what is there for whoever asks, and claims nothing else; what depends
 * on agents of the application is left out, which in the protocol means that it is not known.
 */
export function capabilitiesHandler(agents: Pick<AgentRuns, 'namesIn'>): DocumentRequestHandler {
  // oxlint-disable-next-line typescript/require-await -- a handler answers asynchronously
  return async (exchange, documentId) => {
    const { principal } = exchange
    requireAccess(principal, documentId, 'read')
    const access = principal.access(documentId)
    const scope = principal.scope?.(documentId)
    const seesMessages = scope === undefined
    const mayRun = seesMessages && access === 'write'
    const polyphony = {
      modes: ['watch', 'sync'],
      resumesFromVersion: true,
      splices: true,
      // Also the tool calls of agents and how they stand, though the document itself makes none.
      messages: { shown: seesMessages, merge: mayRun },
      agents: mayRun ? agents.namesIn(documentId) : [],
      access,
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
        ...(seesMessages ? {} : { reasoning: { supported: false } }),
        humanInTheLoop: { supported: false },
        custom: { polyphony },
      },
      { 'cache-control': 'no-cache' },
    )
  }
}
