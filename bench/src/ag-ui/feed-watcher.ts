import { connect, type Socket } from 'node:net'

const marker = /\u00c2\u00a7(\d+)\u00c2\u00a7/g
/** No marker is longer; what is left of a chunk may be the first part of one. */
const markerBytesMax = 16

/** A thin reader of server-sent events: one raw socket, out of which it reads only the markers. */
export class FeedWatcher {
  readonly #socket: Socket
  /** Bytes that came after the first one that was awaited. */
  bytes = 0

  private constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Connects and resolves once the first event, a snapshot, has come. Hears each marker that comes after it. */
  static async open(url: string, onMarker: (id: number) => void): Promise<FeedWatcher> {
    const { hostname, port, pathname } = new URL(url)
    const socket = connect(Number(port), hostname)
    const watcher = new FeedWatcher(socket)
    socket.write(`GET ${pathname} HTTP/1.1\r\nhost: ${hostname}:${port}\r\naccept: text/event-stream\r\n\r\n`)
    await new Promise<void>((resolve, reject) => {
      let opening = ''
      let isOpen = false
      let rest = ''
      socket.once('error', reject)
      socket.once('close', () => reject(new Error(`The feed ended after ${watcher.bytes} bytes: ${opening}`)))
      socket.on('data', (data) => {
        const text = data.toString('latin1')
        if (!isOpen) {
          opening += text
          isOpen = /\n\n/.test(opening.slice(opening.indexOf('\r\n\r\n') + 4)) && opening.includes('200 OK')
          if (isOpen) resolve()
          return
        }
        watcher.bytes += data.length
        const whole = rest + text
        let end = 0
        for (const match of whole.matchAll(marker)) {
          onMarker(Number(match[1]))
          end = match.index + match[0].length
        }
        rest = whole.slice(Math.max(end, whole.length - markerBytesMax))
      })
    })
    return watcher
  }

  close(): void {
    this.#socket.removeAllListeners('close').destroy()
  }
}
