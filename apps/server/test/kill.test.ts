import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as encoding from 'lib0/encoding'
import { afterEach, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import * as Y from 'yjs'
import { startServer, type RunningServer } from './support/running-server.ts'

const soak = process.env['POLYPHONY_SOAK'] === '1'
const rounds = soak ? 20 : 3
const seed = Number(process.env['POLYPHONY_SEED'] ?? 20261124)

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

/** Mulberry32: a small seeded generator, so that a round can be run again. */
function generator(state: number): () => number {
  let a = state
  return () => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Types as fast as it can and notes every edit that came back: echoed means saved. */
function typist(url: string, documentId: string, name: string, acknowledged: Set<string>): () => void {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/sync/${documentId}`)
  const doc = new Y.Doc()
  let count = 0
  const type = (): void => {
    if (socket.readyState !== WebSocket.OPEN) return
    doc.getMap('state').set(`${name}-${count}`, `\u00a7${name}-${count}\u00a7`)
    count++
  }
  doc.on('update', (update: Uint8Array) => {
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, 0)
    encoding.writeVarUint(encoder, 2)
    encoding.writeVarUint8Array(encoder, update)
    socket.send(encoding.toUint8Array(encoder))
  })
  socket.on('open', () => {
    for (let i = 0; i < 16; i++) type()
  })
  socket.on('message', (data: Buffer) => {
    for (const [, key] of data.toString('latin1').matchAll(/\u00c2\u00a7([\w-]+)\u00c2\u00a7/g)) {
      if (key === undefined || !key.startsWith(`${name}-`)) continue
      acknowledged.add(key)
      type()
    }
  })
  socket.on('error', () => socket.terminate())
  return () => socket.terminate()
}

/** Patches as fast as it can and notes every edit that was answered by a 2xx. */
async function patcher(
  url: string,
  documentId: string,
  name: string,
  acknowledged: Set<string>,
): Promise<void> {
  for (let count = 0; ; count++) {
    const key = `${name}-${count}`
    try {
      const response = await fetch(`${url}/v1/documents/${documentId}`, {
        method: 'PATCH',
        headers: { 'content-type': 'application/json-patch+json' },
        body: JSON.stringify([{ op: 'add', path: `/${key}`, value: key }]),
      })
      if (!response.ok) return
      acknowledged.add(key)
    } catch {
      return
    }
  }
}

test(
  `kill -9 at ${rounds} random moments under load loses nothing that was acknowledged (seed ${seed})`,
  { timeout: 600_000 },
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'polyphony-kill-'))
    cleanups.push(() => rm(directory, { recursive: true, force: true }))
    const random = generator(seed)
    const documents = ['one', 'two', 'three']
    const acknowledged = new Map(documents.map((documentId) => [documentId, new Set<string>()]))
    let server: RunningServer = await startServer(['--store', `level:${directory}`])
    cleanups.push(() => server.kill())
    for (let round = 0; round < rounds; round++) {
      const before = [...acknowledged.values()].reduce((sum, keys) => sum + keys.size, 0)
      const stops = documents.flatMap((documentId, i) => [
        typist(server.url, documentId, `y${round}-${i}`, acknowledged.get(documentId) ?? new Set()),
      ])
      const patchers = documents.map((documentId, i) =>
        patcher(server.url, documentId, `p${round}-${i}`, acknowledged.get(documentId) ?? new Set()),
      )
      // The moment is drawn by the number of acknowledgements, so that every round has done real work.
      const enough = before + 20 + Math.floor(random() * 3_000)
      const deadline = Date.now() + 20_000
      while (
        [...acknowledged.values()].reduce((sum, keys) => sum + keys.size, 0) < enough &&
        Date.now() < deadline
      ) {
        await new Promise((resolve) => setTimeout(resolve, 1 + random() * 3))
      }
      await server.kill()
      for (const stop of stops) stop()
      await Promise.all(patchers)
      expect([...acknowledged.values()].reduce((sum, keys) => sum + keys.size, 0)).toBeGreaterThan(before)
      server = await startServer(['--store', `level:${directory}`])
      for (const [documentId, keys] of acknowledged) {
        const response = await fetch(`${server.url}/v1/documents/${documentId}`)
        const state = (await response.json()) as Record<string, unknown>
        const lost = [...keys].filter((key) => !Object.hasOwn(state, key))
        expect(lost, `lost in round ${round}, document ${documentId}`).toEqual([])
      }
    }
  },
)
