import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A wire between client and server that can be cut, or stop carrying what the server sends. */
export interface TcpProxy {
  readonly url: string
  /** Breaks every connection without a word. */
  cut(): void
  /** From now on nothing from the server gets through, until `resume`. */
  pause(): void
  resume(): void
  close(): Promise<void>
}

/** `rewrite` may change what the server sends, piece by piece, but not its length. `port` 0: any free one. */
export async function startProxy(
  target: string,
  rewrite: (piece: Buffer) => Buffer = (piece) => piece,
  port = 0,
): Promise<TcpProxy> {
  const { hostname, port: targetPort } = new URL(target)
  const pairs = new Set<{ readonly inner: Socket; readonly outer: Socket }>()
  const server = createServer((outer) => {
    const inner = connect({ host: hostname, port: Number(targetPort) })
    const pair = { inner, outer }
    pairs.add(pair)
    outer.pipe(inner)
    inner.on('data', (piece) => void outer.write(rewrite(piece)))
    inner.on('end', () => outer.end())
    for (const socket of [inner, outer]) {
      // A cut wire is what this is for.
      socket.on('error', () => socket.destroy())
      socket.once('close', () => {
        pairs.delete(pair)
        inner.destroy()
        outer.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut() {
      for (const { outer, inner } of pairs) {
        outer.resetAndDestroy()
        inner.resetAndDestroy()
      }
    },
    pause() {
      for (const { inner } of pairs) inner.pause()
    },
    resume() {
      for (const { inner } of pairs) inner.resume()
    },
    async close() {
      for (const { outer, inner } of pairs) {
        outer.destroy()
        inner.destroy()
      }
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
