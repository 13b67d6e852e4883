import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDocument, type PolyphonyDocument } from '@polyphony/client'
import { openLevelStore } from '@polyphony/storage-level'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { startServer, type RunningServer } from '../../../server/test/support/running-server.ts'

const kills = process.env['POLYPHONY_SOAK'] === '1' ? 30 : 4
const clientCount = 3

let folder: string
let server: RunningServer | undefined
const clients: PolyphonyDocument[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'polyphony-client-kill-'))
})

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close()
  await server?.kill()
  await rm(folder, { recursive: true, force: true })
})

const start = (port: string): Promise<RunningServer> =>
  startServer(['--port', port, '--log-level', 'info', '--store', `level:${join(folder, 'data')}`])

async function keysOf(url: string): Promise<Set<string>> {
  const response = await fetch(`${url}/v1/documents/plan`)
  return new Set(response.status === 404 ? [] : Object.keys((await response.json()) as object))
}

describe('clients of a server that is killed again and again', { timeout: 600_000 }, () => {
  it('lose nothing, and call nothing saved that a kill could take away', async () => {
    server = await start('0')
    const { port, href } = new URL(server.url)
    const stores = await Promise.all(
      Array.from({ length: clientCount }, (_, index) => openLevelStore(join(folder, `client-${index}`))),
    )
    const saved = new Set<string>()
    const made = new Set<string>()
    const claims = { count: 0 }
    for (const store of stores) {
      const client = openDocument({ url: href, documentId: 'plan', store })
      clients.push(client)
      client.onStatus((status) => {
        if (!status.saved) return
        claims.count++
        for (const key of client.doc.getMap('state').keys()) saved.add(key)
      })
    }
    let isEditing = true
    const editing = clients.map(async (client, index) => {
      for (let n = 0; isEditing; n++) {
        const key = `c${index}-${n}`
        client.doc.getMap('state').set(key, n)
        made.add(key)
        // Now and then a client is offline for a while and edits on.
        if (n % 150 === 100) client.disconnect()
        if (n % 150 === 140) client.connect()
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
      client.connect()
    })
    for (let kill = 0; kill < kills; kill++) {
      const before = claims.count
      await vi.waitFor(() => expect(claims.count).toBeGreaterThan(before + 5), {
        timeout: 30_000,
        interval: 7,
      })
      await server.kill()
      const promised = [...saved]
      // Where no client finds it: what has survived is what the server itself has kept.
      server = await start('0')
      const survived = await keysOf(server.url)
      expect(promised.filter((key) => !survived.has(key))).toEqual([])
      await server.kill()
      server = await start(port)
    }
    isEditing = false
    await Promise.all(editing)
    for (const client of clients) await client.whenSaved()
    const kept = await keysOf(server.url)
    expect([...made].filter((key) => !kept.has(key))).toEqual([])
    expect(made.size).toBeGreaterThan(kills * 20)
    for (const client of clients)
      await vi.waitFor(() => expect(client.doc.getMap('state').size).toBe(made.size), { timeout: 20_000 })
    for (const client of clients.splice(0)) await client.close()
    for (const store of stores) await store.close()
  })
})
