import type { DocumentAddress } from '@polyphony/example-agent'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { WebsocketProvider } from 'y-websocket'
import type * as Y from 'yjs'

/** `saved`: everything typed here is stored on the server. */
export type SaveState = 'connecting' | 'saved' | 'saving' | 'offline' | 'read-only' | 'refused'

/** Question and answer of Y-Sweet: "is everything that I have sent durable?" */
const messageSaved = 102
/** How the server says that an edit was not taken. */
const messageDenied = 2

/**
 * The stock y-websocket provider, and whether what was typed here is safe. The provider itself cannot tell; the server
 * answers a question that is asked after every edit.
 */
export function connect(
  address: DocumentAddress,
  doc: Y.Doc,
  onState: (state: SaveState) => void,
): WebsocketProvider {
  const { url, documentId, token } = address
  const path = documentId.split('/').map(encodeURIComponent).join('/')
  const provider = new WebsocketProvider(`${url.replace(/^http/, 'ws')}/sync`, path, doc, {
    params: token === undefined ? {} : { token },
    maxBackoffTime: 2_000,
  })
  let edits = 0
  let asked = 0
  let saved = 0
  let refused = false
  let readOnly = false
  const tell = (): void => {
    if (refused) onState('refused')
    else if (readOnly && provider.wsconnected) onState('read-only')
    else if (!provider.wsconnected) onState(edits === 0 && !provider.synced ? 'connecting' : 'offline')
    else onState(provider.synced && saved === edits ? 'saved' : 'saving')
  }
  const ask = (): void => {
    const { ws } = provider
    if (ws === null || ws.readyState !== WebSocket.OPEN) return
    const question = encoding.createEncoder()
    encoding.writeVarUint(question, edits)
    const message = encoding.createEncoder()
    encoding.writeVarUint(message, messageSaved)
    encoding.writeVarUint8Array(message, encoding.toUint8Array(question))
    ws.send(encoding.toUint8Array(message))
    asked = edits
  }
  provider.messageHandlers[messageSaved] = (_encoder, decoder) => {
    saved = decoding.readVarUint(decoding.createDecoder(decoding.readVarUint8Array(decoder)))
    if (edits > asked) ask()
    tell()
  }
  provider.messageHandlers[messageDenied] = (_encoder, decoder) => {
    decoding.readVarUint(decoder)
    readOnly = decoding.readVarString(decoder).startsWith('forbidden')
    tell()
  }
  doc.on('update', (_update: Uint8Array, origin: unknown) => {
    if (origin === provider) return
    edits += 1
    // One question at a time: the answer to the last one asks the next. The provider sends the edit itself first.
    if (asked === saved) queueMicrotask(ask)
    tell()
  })
  provider.on('sync', (synced: boolean) => {
    // What was typed offline went out with the handshake, before this question.
    if (synced) ask()
    tell()
  })
  provider.on('status', () => tell())
  provider.on('connection-close', (event) => {
    // Codes from 4400 on say that trying again will not help, but for 4429, which asks for patience.
    if (event !== null && event.code >= 4400 && event.code < 4500 && event.code !== 4429) {
      refused = true
      provider.disconnect()
    }
    tell()
  })
  return provider
}
