import { createServer, type ServerResponse } from 'node:http'
import { WebSocketServer } from 'ws'

// The floor of the feeds: what an editor sends by WebSocket goes out to every reader of that path as one server-sent
// event of `process.argv[3]` bytes that carries the editor's marker. No CRDT, translation, storage or checks.
const [port = '0', eventBytes = '0'] = process.argv.slice(2)
const readers = new Map<string, Set<ServerResponse>>()
const marker = /\u00c2\u00a7\d+\u00c2\u00a7/
const emptyStepTwo = Buffer.from([0, 1, 2, 0, 0])

const server = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  response.write(': ready\n\n')
  const path = request.url ?? '/'
  const all = readers.get(path) ?? new Set()
  readers.set(path, all.add(response))
  response.on('close', () => all.delete(response))
})
const sockets = new WebSocketServer({ server, perMessageDeflate: false })
sockets.on('connection', (socket, request) => {
  const path = request.url ?? '/'
  socket.on('message', (data: Buffer) => {
    if (data[0] === 0 && data[1] === 0) return socket.send(emptyStepTwo)
    const [mark = ''] = marker.exec(data.toString('latin1')) ?? []
    const event = Buffer.from(`data: ${mark}`.padEnd(Number(eventBytes) - 2, '.') + '\n\n', 'latin1')
    for (const reader of readers.get(path) ?? []) reader.write(event)
  })
})
server.listen(Number(port), '127.0.0.1')
