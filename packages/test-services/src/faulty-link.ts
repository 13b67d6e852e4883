import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** What happens to a piece of what the server sends: it arrives, is lost, arrives twice, or ends the connection. */
export type LinkFault = 'lose' | 'repeat' | 'disconnect'

/**
 * What happens to a piece of what a client sends: it does not arrive and the connection ends; it does not arrive and
 * nothing ever comes back; it arrives and the connection ends before the answer.
 */
export type RequestFault = 'fail' | 'hang' | 'tear'

/** A TCP relay between a client and a server of ours that can break what passes. */
export interface FaultyLink {
  /** Where clients connect in place of the server. */
  readonly port: number
  /** Does this once, to the next bytes from the server in which `matches` finds something. */
  breakNext(fault: LinkFault, matches: (bytes: Buffer) => boolean): void
  /** Does this once, to the piece with this number that clients send from now on, counted from 1. */
  breakRequest(number: number, fault: RequestFault): void
  /** Pieces that clients have sent since the last `breakRequest`. */
  readonly requests: number
  /** How many faults have come about; a test that waits for one in vain tests nothing. */
  readonly faults: number
  /** Which of the faults of `breakNext` have come about. */
  readonly delivered: ReadonlySet<LinkFault>
  /** Leads new connections to another server, and ends those to this one. */
  retarget(port: number): void
  /** Ends all connections now. */
  cut(): void
  close(): Promise<void>
}

export async function openFaultyLink(serverPort: number, serverHost = '127.0.0.1'): Promise<FaultyLink> {
  const sockets = new Set<Socket>()
  let faults = 0
  const delivered = new Set<LinkFault>()
  let target = serverPort
  let requests = 0
  let brokenRequest: { number: number; fault: RequestFault } | undefined
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
    let isHanging = false
    client.on('data', (bytes) => {
      requests++
      const fault = requests === brokenRequest?.number ? brokenRequest.fault : undefined
      if (fault !== undefined) faults++
      if (fault === 'fail') return end()
      if (fault === 'hang') isHanging = true
      if (fault === 'tear') server.removeAllListeners('data').once('data', end)
      if (!isHanging) server.write(bytes)
    })
    server.on('data', (bytes) => {
      if (isHanging) return
      if (pending === undefined || !pending.matches(bytes)) {
        client.write(bytes)
        return
      }
      const { fault } = pending
      pending = undefined
      faults++
      delivered.add(fault)
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
    breakRequest(number, fault) {
      requests = 0
      brokenRequest = { number, fault }
    },
    get requests() {
      return requests
    },
    get faults() {
      return faults
    },
    delivered,
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
