import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** What happens to a piece of what the server sends: it arrives, is lost, arrives twice, or ends the connection. */
export type LinkFault = 'lose' | 'repeat' | 'disconnect'

/** A TCP relay between a client and a server of ours that can break what passes. */
export interface FaultyLink {
  /** Where clients connect in place of the server. */
  readonly port: number
  /** Does this once, to the next bytes from the server in which `matches` finds something. */
  breakNext(fault: LinkFault, matches: (bytes: Buffer) => boolean): void
  /** How many faults have come about; a test that waits for one in vain tests nothing. */
  readonly faults: number
  /** Leads new connections to another server, and ends those to this one. */
  retarget(port: number): void
  /** Ends all connections now. */
  cut(): void
  close(): Promise<void>
}

export async function openFaultyLink(serverPort: number, serverHost = '127.0.0.1'): Promise<FaultyLink> {
  const sockets = new Set<Socket>()
  let faults = 0
  let target = serverPort
  let pending: { fault: LinkFault; matches: (bytes: Buffer) => boolean } | undefined
  const listener = createServer({ noDelay: true }, (client) => {
    const server = connect({ port: target, host: serverHost, noDelay: true })
    const end = (): void => {
      client.destroy()
      server.destroy()
    }
    for (const socket of [client, server]) {
      sockets.add(socket)
      socket.on('error', end)
      socket.on('close', () => {
        sockets.delete(socket)
        end()
      })
    }
    client.on('data', (bytes) => server.write(bytes))
    server.on('data', (bytes) => {
      if (pending === undefined || !pending.matches(bytes)) {
        client.write(bytes)
        return
      }
      const { fault } = pending
      pending = undefined
      faults++
      if (fault === 'repeat') client.write(Buffer.concat([bytes, bytes]))
      else if (fault === 'disconnect') end()
    })
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (listener.address() as AddressInfo).port,
    breakNext(fault, matches) {
      pending = { fault, matches }
    },
    get faults() {
      return faults
    },
    retarget(port) {
      target = port
      cut()
    },
    cut,
    async close() {
      cut()
      await new Promise((resolve) => listener.close(resolve))
    },
  }
}
