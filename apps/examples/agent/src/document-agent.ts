import { PolyphonyAgent } from '@polyphony/client/agent'
import { authorizationOf, documentUrl, type DocumentAddress } from './document-address.ts'

/** An agent for a document. It does nothing yet. */
export function openAgent(address: DocumentAddress): PolyphonyAgent {
  return new PolyphonyAgent({
    url: documentUrl(address, '/ag-ui'),
    headers: authorizationOf(address),
    reconnect: { firstMs: 200, maxMs: 5_000 },
  })
}
