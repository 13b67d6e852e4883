import { readConversation, readRuns } from '@polyphony/ag-ui'
import { sendJson } from './answer.ts'
import { requireAccess } from './authorization.ts'
import { requireWhole } from './pointer-scope.ts'
import type { Exchange } from './request-handler.ts'
import { formatRevision } from './version-token.ts'

/** GET /v1/documents/{id}/messages: the messages, and the runs that the document remembers, as they stand in it. */
export async function getMessages(exchange: Exchange, documentId: string): Promise<void> {
  requireAccess(exchange.principal, documentId, 'read')
  requireWhole(exchange.principal, documentId, 'Reading messages')
  const handle = await exchange.documents.open(documentId, { mustExist: true })
  try {
    const body = await handle.read((view) => ({
      version: formatRevision(view.version.revision, handle.incarnation),
      messages: readConversation(view.doc).map(({ stored }) => stored),
      runs: readRuns(view.doc),
    }))
    sendJson(exchange, 200, body, { 'polyphony-version': body.version })
  } finally {
    handle.release()
  }
}
