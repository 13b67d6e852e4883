import { WebSocketServer, WebSocket } from 'ws'

// The floor: a relay per room on bare `ws`, without a CRDT, storage or checks. Answers a step 1 by an empty step 2.
const rooms = new Map<string, Set<WebSocket>>()
const emptyStepTwo = Buffer.from([0, 1, 2, 0, 0])
const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.argv[2]),
  perMessageDeflate: false,
})
server.on('connection', (socket, request) => {
  const name = request.url ?? '/'
  const room = rooms.get(name) ?? new Set()
  rooms.set(name, room.add(socket))
  socket.on('close', () => room.delete(socket))
  socket.on('message', (data) => {
    if (!Buffer.isBuffer(data)) return
    if (data[0] === 0 && data[1] === 0) socket.send(emptyStepTwo)
    else for (const other of room) if (other.readyState === WebSocket.OPEN) other.send(data)
  })
})
