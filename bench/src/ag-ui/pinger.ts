import * as encoding from 'lib0/encoding'
import { WebSocket } from 'ws'
import * as Y from 'yjs'

// Process of its own: `node pinger.js ws://…/sync/other`. Writes a small edit, waits for its echo, which is the durable
// acknowledgement, and writes the next one a moment later. To a message it answers with the longest wait since the last.
const pauseMs = 5
const [url = ''] = process.argv.slice(2)
const doc = new Y.Doc()
const socket = new WebSocket(url)
let sentAt: number | undefined
let longestMs = 0

doc.on('update', (update: Uint8Array) => {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, 0)
  encoding.writeVarUint(encoder, 2)
  encoding.writeVarUint8Array(encoder, update)
  sentAt = performance.now()
  socket.send(encoding.toUint8Array(encoder))
})

function ping(): void {
  doc.getMap('state').set('at', performance.now())
}

socket.on('open', () => {
  process.send?.('ready')
  ping()
})
socket.on('message', (data: Buffer) => {
  if (data[0] !== 0 || data[1] !== 2 || sentAt === undefined) return
  longestMs = Math.max(longestMs, performance.now() - sentAt)
  sentAt = undefined
  setTimeout(ping, pauseMs)
})
process.on('message', () => {
  // A wait that has not ended yet counts too.
  const waitingMs = sentAt === undefined ? 0 : performance.now() - sentAt
  process.send?.(Math.max(longestMs, waitingMs))
  longestMs = 0
})
