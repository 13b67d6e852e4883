import { MemoryDisk, MemoryStore, type DocumentStore } from '@polyphony/storage'
import * as Y from 'yjs'
import { openDocument, type PolyphonyDocument } from '../../src/index.ts'
import { BrowserProfile } from './browser-profile.ts'
import { RestartableServer, fastClock, includes } from './server.ts'

const documentId = 'plan'

/** What happens to the world. Numbers choose among what there is. */
export type Action =
  | { readonly type: 'open'; readonly browser: number; readonly connect: boolean }
  | { readonly type: 'edit'; readonly tab: number; readonly kind: number; readonly at: number }
  | { readonly type: 'close'; readonly tab: number }
  | { readonly type: 'kill'; readonly tab: number }
  | { readonly type: 'disconnect'; readonly tab: number }
  | { readonly type: 'connect'; readonly tab: number }
  | { readonly type: 'server'; readonly up: boolean }
  | { readonly type: 'store'; readonly browser: number; readonly fault: 'none' | 'fail' | 'tear' }
  | { readonly type: 'wait'; readonly ticks: number }

interface Browser {
  readonly profile: BrowserProfile
  readonly disk: MemoryDisk
  fault: 'none' | 'fail' | 'tear'
}

interface Tab {
  readonly browser: Browser
  readonly document: PolyphonyDocument
  /** Edits made in it; none may be lost once one of the promises holds for it. */
  readonly edits: Set<string>
  kill(): void
}

/**
 * Two browsers with any number of tabs, and a server. Whenever a tab claims something, it is held against what is really
 * there: `saved` against the server's log, `savedLocally` against the browser's database.
 */
export class World {
  readonly server = new RestartableServer()
  readonly browsers: readonly Browser[] = [0, 1].map(() => ({
    profile: new BrowserProfile(),
    disk: new MemoryDisk(),
    fault: 'none' as const,
  }))
  tabs: Tab[] = []
  readonly lies: string[] = []
  /** Edits that must be there in the end. */
  readonly promised = new Set<string>()
  readonly counts = { edits: 0, saved: 0, savedLocally: 0, kills: 0 }
  #editCount = 0

  async start(): Promise<this> {
    await this.server.start()
    return this
  }

  async act(action: Action): Promise<void> {
    switch (action.type) {
      case 'open':
        if (this.tabs.length < 6) this.#open(this.#browser(action.browser), action.connect)
        return
      case 'edit':
        return this.#edit(action.tab, action.kind, action.at)
      case 'close':
        return await this.#close(action.tab)
      case 'kill':
        return this.#kill(action.tab)
      case 'disconnect':
        return this.#tab(action.tab)?.document.disconnect()
      case 'connect':
        return this.#tab(action.tab)?.document.connect()
      case 'server':
        if (action.up !== this.server.isRunning) await (action.up ? this.server.start() : this.server.stop())
        return
      case 'store':
        this.#browser(action.browser).fault = action.fault
        return
      case 'wait':
        for (let tick = 0; tick < action.ticks; tick++) await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }

  /** Everything works again, and every browser opens the document once more. Results in what the server has then. */
  async heal(): Promise<Y.Doc> {
    for (const browser of this.browsers) browser.fault = 'none'
    if (!this.server.isRunning) await this.server.start()
    for (const browser of this.browsers) this.#open(browser, true)
    for (const { document } of this.tabs) document.connect()
    for (const { document, edits } of this.tabs) {
      await document.whenOnline()
      await document.when(({ saved, savedLocally }) => saved && savedLocally)
      for (const edit of edits) this.promised.add(edit)
    }
    return await this.server.committed(documentId)
  }

  async end(): Promise<void> {
    await Promise.all(this.tabs.splice(0).map(({ document }) => document.close()))
    await this.server.stop()
  }

  #open(browser: Browser, connect: boolean): void {
    const { platform, kill } = browser.profile.openTab()
    let dead = false
    const store = faultyStore(browser, () => dead)
    const document = openDocument({
      url: this.server.url,
      documentId,
      clock: fastClock,
      tabs: platform,
      store,
      connect,
      checkpointEntries: 7,
    })
    const tab: Tab = {
      browser,
      document,
      edits: new Set(),
      kill: () => {
        dead = true
        kill()
      },
    }
    this.tabs.push(tab)
    document.onStatus(({ saved, savedLocally }) => {
      if (saved) this.#checkSaved(tab)
      if (savedLocally) this.#checkSavedLocally(tab)
    })
  }

  #checkSaved({ document, edits }: Tab): void {
    this.counts.saved++
    const committed = readDisk(this.server.disk, documentId)
    if (!includes(committed, document.doc)) this.lies.push('saved, but the log of the server lacks something')
    for (const edit of edits) this.promised.add(edit)
  }

  #checkSavedLocally({ browser, edits }: Tab): void {
    this.counts.savedLocally++
    const [id] = browser.disk.documents.keys()
    const stored = id === undefined ? new Y.Doc() : readDisk(browser.disk, id)
    for (const edit of edits) {
      if (stored.getMap('edits').has(edit)) this.promised.add(edit)
      // What the server has committed need not have reached the database of this browser.
      else if (!readDisk(this.server.disk, documentId).getMap('edits').has(edit))
        this.lies.push(`savedLocally, but the database lacks ${edit}`)
    }
  }

  #edit(which: number, kind: number, at: number): void {
    const tab = this.#tab(which)
    if (tab === undefined) return
    const edit = `edit-${this.#editCount++}`
    const { doc } = tab.document
    this.counts.edits++
    tab.edits.add(edit)
    doc.transact(() => {
      doc.getMap('edits').set(edit, true)
      const text = doc.getText('text')
      if (kind % 4 === 0) text.insert(at % (text.length + 1), `${edit} `)
      else if (kind % 4 === 1 && text.length > 0)
        text.delete(at % text.length, Math.min(3, text.length - (at % text.length)))
      else if (kind % 4 === 2) doc.getMap('state').set(`key-${at % 3}`, new Y.Map([['by', edit]]))
      else doc.getMap('state').delete(`key-${at % 3}`)
    })
  }

  async #close(which: number): Promise<void> {
    const tab = this.#tab(which)
    if (tab === undefined) return
    this.tabs = this.tabs.filter((other) => other !== tab)
    await tab.document.close()
  }

  #kill(which: number): void {
    const tab = this.#tab(which)
    if (tab === undefined) return
    this.counts.kills++
    this.tabs = this.tabs.filter((other) => other !== tab)
    tab.kill()
    // Its sockets go with it; nothing of it settles any more.
    void tab.document.close()
  }

  #tab(which: number): Tab | undefined {
    return this.tabs[which % Math.max(1, this.tabs.length)]
  }

  #browser(which: number): Browser {
    const browser = this.browsers[which % this.browsers.length]
    if (browser === undefined) throw new Error('There is no browser.')
    return browser
  }
}

/** A dead tab's calls never settle and do nothing; a failing store fails before or after doing what it was asked to. */
function faultyStore(browser: Browser, isDead: () => boolean): DocumentStore {
  return new Proxy(new MemoryStore({ disk: browser.disk, retention: { entries: 0, bytes: 0, ageMs: 0 } }), {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key, target)
      if (typeof value !== 'function') return value
      if (key !== 'append' && key !== 'checkpoint') return value.bind(target) as unknown
      return async (...args: unknown[]) => {
        await new Promise((resolve) => setImmediate(resolve))
        if (isDead()) return await new Promise(() => undefined)
        const { fault } = browser
        if (fault === 'fail') throw new Error('The disk is full.')
        const result: unknown = await value.apply(target, args)
        if (fault === 'tear') throw new Error('The disk answered too late.')
        return result
      }
    },
  })
}

/** What a disk holds at this very moment. */
function readDisk(disk: MemoryDisk, id: string): Y.Doc {
  const doc = new Y.Doc()
  const stored = disk.documents.get(id)
  for (const chunk of stored?.checkpoint?.state ?? []) Y.applyUpdate(doc, chunk)
  for (const { update } of stored?.entries ?? []) Y.applyUpdate(doc, update)
  return doc
}
