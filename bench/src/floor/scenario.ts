import { quantile } from '../quantile.ts'
import { usageOf, type Peer } from './peer.ts'
import { RoomClient } from './room-client.ts'

export interface Figures {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly updatesPerSecond: number
  readonly rssPeakMb: number
  readonly serverCpu: number
  readonly lost: number
}

/** Many clients, few writers: how long an update takes from its author's send to every reader's callback. */
export async function fanout(
  peer: Peer,
  options: { rooms: number; clients: number; ratePerSecond: number; seconds: number },
): Promise<Figures> {
  const { rooms, clients, ratePerSecond, seconds } = options
  const sentAt: number[] = []
  const latencies: number[] = []
  const heard = (id: number): void => void latencies.push(performance.now() - (sentAt[id] ?? Number.NaN))
  const all: RoomClient[][] = Array.from({ length: rooms }, () => [])
  for (let i = 0; i < clients; i += 50) {
    const group = Array.from({ length: Math.min(50, clients - i) }, (_, j) => (i + j) % rooms)
    const connected = await Promise.all(
      group.map((room) => RoomClient.connect(`${peer.url}fanout-${room}`, heard)),
    )
    connected.forEach((client, j) => all[group[j] as number]?.push(client))
  }
  const perRoom = clients / rooms
  return measure(peer, latencies, async () => {
    const total = Math.round(ratePerSecond * seconds) * rooms
    const startedAt = performance.now()
    for (let id = 0; id < total; id++) {
      const due = startedAt + (id * 1_000) / (ratePerSecond * rooms)
      const wait = due - performance.now()
      if (wait > 1) await new Promise((resolve) => setTimeout(resolve, wait))
      const room = all[id % rooms] as RoomClient[]
      sentAt[id] = performance.now()
      room[Math.floor(id / rooms) % room.length]?.set(id)
    }
    await until(() => latencies.length >= total * perRoom, 10_000)
    for (const client of all.flat()) client.close()
    return { updates: total, expected: total * perRoom }
  })
}

/** As fast as it goes: each writer keeps `window` updates on their way and sends the next when one comes back. */
export async function ceiling(
  peer: Peer,
  options: { rooms: number; window: number; seconds: number; kind: 'set' | 'append' },
): Promise<Figures> {
  const { rooms, window, seconds, kind } = options
  const latencies: number[] = []
  const sentAt = new Map<number, number>()
  let nextId = 0
  let stopped = false
  const clients = await Promise.all(
    Array.from({ length: rooms }, async (_, room) => {
      const own = new Set<number>()
      const writer: RoomClient = await RoomClient.connect(`${peer.url}ceiling-${kind}-${room}`, (id) => {
        if (!own.delete(id)) return
        latencies.push(performance.now() - (sentAt.get(id) ?? Number.NaN))
        sentAt.delete(id)
        if (!stopped) send()
      })
      const send = (): void => {
        const id = nextId++
        own.add(id)
        sentAt.set(id, performance.now())
        writer[kind](id)
      }
      return { writer, send }
    }),
  )
  return measure(peer, latencies, async () => {
    for (const { send } of clients) for (let i = 0; i < window; i++) send()
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
    stopped = true
    const updates = latencies.length
    await until(() => sentAt.size === 0, 10_000)
    for (const { writer } of clients) writer.close()
    return { updates, expected: nextId }
  })
}

async function measure(
  peer: Peer,
  latencies: number[],
  run: () => Promise<{ updates: number; expected: number }>,
): Promise<Figures> {
  const before = await usageOf(peer.pid)
  let rssPeak = before.rssBytes
  const sampling = setInterval(() => {
    usageOf(peer.pid).then(
      ({ rssBytes }) => {
        rssPeak = Math.max(rssPeak, rssBytes)
      },
      () => clearInterval(sampling),
    )
  }, 100)
  const startedAt = performance.now()
  const { updates, expected } = await run()
  const elapsed = (performance.now() - startedAt) / 1_000
  clearInterval(sampling)
  const after = await usageOf(peer.pid)
  return {
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    updatesPerSecond: updates / elapsed,
    rssPeakMb: rssPeak / 2 ** 20,
    serverCpu: (after.cpuSeconds - before.cpuSeconds) / elapsed,
    lost: expected - latencies.length,
  }
}

async function until(condition: () => boolean, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!condition() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
}
