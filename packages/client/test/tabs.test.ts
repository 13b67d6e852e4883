import { MemoryDisk, MemoryStore } from '@polyphony/storage'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { openDocument, type OpenDocumentOptions, type PolyphonyDocument } from '../src/index.ts'
import { BrowserProfile } from './support/browser-profile.ts'
import { RestartableServer, fastClock, readLog } from './support/server.ts'

const servers: RestartableServer[] = []
const documents: PolyphonyDocument[] = []

afterEach(async () => {
  await Promise.all(documents.splice(0).map((document) => document.close()))
  await Promise.all(servers.splice(0).map((server) => server.stop()))
})

/** A browser with one database, and the tabs in it. */
async function startBrowser() {
  const server = await new RestartableServer().start()
  servers.push(server)
  const profile = new BrowserProfile()
  const disk = new MemoryDisk()
  const openTab = (options: Partial<OpenDocumentOptions> = {}) => {
    const { platform, kill } = profile.openTab()
    const document = openDocument({
      url: server.url,
      documentId: 'plan',
      clock: fastClock,
      tabs: platform,
      store: new MemoryStore({ disk }),
      ...options,
    })
    documents.push(document)
    return { document, kill }
  }
  /** What is on the disk, whoever shows what. */
  const stored = async () => {
    const store = new MemoryStore({ disk })
    const ids: string[] = []
    for await (const { documentId } of store.list()) ids.push(documentId)
    expect(ids).toHaveLength(1)
    return (await readLog(store, ids[0] ?? '')).getMap('state').toJSON()
  }
  return { server, openTab, stored }
}

const add = (path: string, value: number | string) => [{ op: 'add', path, value }] as const

describe('tabs of one browser', () => {
  it('show each other their edits while offline, and keep them all', async () => {
    const { openTab } = await startBrowser()
    const a = openTab({ connect: false }).document
    await a.whenLoaded()
    a.change(add('/a', 1))
    const b = openTab({ connect: false }).document
    await b.whenLoaded()
    expect(b.value).toEqual({ a: 1 })
    expect(b.status).toMatchObject({ pending: 1, saved: false })
    b.change(add('/b', 2))
    expect(b.status.savedLocally).toBe(false)
    await b.when(({ savedLocally }) => savedLocally)
    expect(a.value).toEqual({ a: 1, b: 2 })
    expect(a.status.pending).toBe(2)
    await Promise.all([a.close(), b.close()])
    const c = openTab({ connect: false }).document
    await c.whenLoaded()
    expect(c.value).toEqual({ a: 1, b: 2 })
    expect(c.status.pending).toBe(2)
  })

  it('lets another tab take over from a leader that is gone, and loses nothing', async () => {
    const { openTab } = await startBrowser()
    const leader = openTab({ connect: false })
    await leader.document.whenLoaded()
    const b = openTab({ connect: false }).document
    const c = openTab({ connect: false }).document
    await Promise.all([b.whenLoaded(), c.whenLoaded()])
    leader.kill()
    // Nobody called these stored: they wait for the next leader.
    b.change(add('/b', 1))
    c.change(add('/c', 1))
    await Promise.all([b, c].map((tab) => tab.when(({ savedLocally }) => savedLocally)))
    await Promise.all([b.close(), c.close()])
    const d = openTab({ connect: false }).document
    await d.whenLoaded()
    expect(d.value).toEqual({ b: 1, c: 1 })
  })

  it('call an edit saved in every tab, also where the connection is down', async () => {
    const { server, openTab } = await startBrowser()
    const a = openTab().document
    await a.whenOnline()
    const b = openTab({ connect: false }).document
    await b.whenLoaded()
    b.change(add('/b', 1))
    await b.whenSaved()
    expect(b.status.connection).toBe('offline')
    expect((await server.committed('plan')).getMap('state').toJSON()).toEqual({ b: 1 })
    // What others do reaches the tab that is not connected, and its copy, too.
    a.change(add('/a', 1))
    await vi.waitFor(() => expect(b.value).toEqual({ a: 1, b: 1 }))
    await vi.waitFor(() => expect(b.status.saved).toBe(true))
  })

  it('keep documents of two users apart, though the address is the same', async () => {
    const { openTab } = await startBrowser()
    const ada = openTab({ connect: false, principal: 'ada' }).document
    const bob = openTab({ connect: false, principal: 'bob' }).document
    await Promise.all([ada.whenLoaded(), bob.whenLoaded()])
    ada.change(add('/secret', 1))
    await ada.when(({ savedLocally }) => savedLocally)
    await new Promise((resolve) => setImmediate(resolve))
    expect(bob.value).toEqual({})
  })

  it('clear the copy for all, whichever tab asks', async () => {
    const { openTab } = await startBrowser()
    const a = openTab({ connect: false }).document
    await a.whenLoaded()
    const b = openTab({ connect: false }).document
    await b.whenLoaded()
    a.change(add('/a', 1))
    await a.when(({ savedLocally }) => savedLocally)
    await b.clearLocal()
    expect(a.status.savedLocally).toBe(false)
    await Promise.all([a.close(), b.close()])
    const c = openTab({ connect: false }).document
    await c.whenLoaded()
    expect(c.value).toEqual({})
  })

  it('that go on after the copy was cleared write none anew, and hand on nothing to one that is', async () => {
    const { openTab, stored } = await startBrowser()
    const a = openTab({ connect: false }).document
    await a.whenLoaded()
    const b = openTab({ connect: false }).document
    await b.whenLoaded()
    a.change(add('/secret', 1))
    await vi.waitFor(() => expect(b.value).toEqual({ secret: 1 }))
    await a.clearLocal()
    await a.close()
    const c = openTab({ connect: false }).document
    await c.whenLoaded()
    b.change(add('/more', 1))
    c.change(add('/new', 1))
    await c.when(({ savedLocally }) => savedLocally)
    await b.close()
    await c.close()
    expect(b.status.savedLocally).toBe(false)
    expect(await stored()).toEqual({ new: 1 })
  })

  it('are closed once what they handed on is stored, or the tab that should is gone', async () => {
    const { openTab, stored } = await startBrowser()
    const leader = openTab({ connect: false })
    await leader.document.whenLoaded()
    const b = openTab({ connect: false }).document
    await b.whenLoaded()
    b.change(add('/b', 1))
    await b.close()
    expect(await stored()).toEqual({ b: 1 })
    const c = openTab({ connect: false }).document
    await c.whenLoaded()
    leader.kill()
    c.change(add('/c', 1))
    await c.close()
    expect(await stored()).toEqual({ b: 1, c: 1 })
  })

  it('edit on while the first of them still reads', async () => {
    const { openTab } = await startBrowser()
    const tabs = [openTab({ connect: false }), openTab({ connect: false }), openTab({ connect: false })]
    tabs.forEach(({ document }, index) => document.change(add(`/${index}`, index)))
    await Promise.all(tabs.map(({ document }) => document.when(({ savedLocally }) => savedLocally)))
    await vi.waitFor(() => {
      for (const { document } of tabs) expect(document.value).toEqual({ 0: 0, 1: 1, 2: 2 })
    })
    tabs[0]?.kill()
    await Promise.all(tabs.slice(1).map(({ document }) => document.close()))
    const after = openTab({ connect: false }).document
    await after.whenLoaded()
    expect(after.value).toEqual({ 0: 0, 1: 1, 2: 2 })
    expect(after.status.pending).toBe(3)
  })
})
