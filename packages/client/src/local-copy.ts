import { PolyphonyError, toPolyphonyError, type Clock, type Logger, type Random } from '@polyphony/core'
import type { DocumentStore } from '@polyphony/storage'
import type { LocalCopyHost, LocalPlace, OpenedStore } from './local-place.ts'
import { LocalLog } from './local-log.ts'
import { PendingEdits } from './pending-edits.ts'
import { StoredIds } from './stored-ids.ts'
import { isTabMessage, type TabChannel, type TabMessage, type TabPlatform } from './tabs.ts'

export interface LocalCopyOptions {
  readonly place: LocalPlace
  readonly host: LocalCopyHost
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly checkpointEntries?: number | undefined
  readonly checkpointBytes?: number | undefined
}

/** A leader that does not answer for so long is not waited for: the server, or its answer, will bring the content. */
const joinTimeoutMs = 5_000
const clearTimeoutMs = 5_000
const nothing = new Uint8Array([0, 0])
/** Of a state vector without clients: a zero. */
const emptyStateVectorBytes = 1

/**
 * The copy of a document on this machine. One tab leads: it has the store open and writes everything that it hears of.
 * The others hand it their edits, and send again whatever it has not called stored when a new one takes over. Without
 * tabs (Node, a store of the application's own), this is simply the writer of a log.
 */
export class LocalCopy {
  readonly #options: LocalCopyOptions
  readonly #tab: string
  readonly #channel: TabChannel | undefined
  readonly #leaving = new AbortController()
  /** Tabs of which it is known that they are not connected. */
  readonly #unconnected = new Set<string>()
  /** Tabs that were asked for what an edit of theirs builds on, and the number of the newest such edit. */
  readonly #owed = new Map<string, number>()
  #log: LocalLog | undefined
  #error: PolyphonyError | undefined
  #holdsLock = false
  /** Whether the document changed while there was no log that could note it. */
  #missed = false
  #release = (): void => undefined
  #opened: OpenedStore | undefined
  #cleared = false
  #closed = false
  #online = false
  /** Edits of this tab: handed to a leader, and called stored by one. */
  #sent = 0
  #stored = 0
  #loaded = (): void => undefined
  #whenCleared = new Set<() => void>()

  constructor(options: LocalCopyOptions) {
    this.#options = options
    this.#tab = options.random.hex(8)
    this.#channel = options.place.tabs?.openChannel(options.place.name, (message) => {
      if (isTabMessage(message) && message.tab !== this.#tab && !this.#closed) this.#receive(message)
    })
  }

  /** Whether every edit that was made in this tab is durable on this machine. */
  get isSaved(): boolean {
    if (this.#cleared || this.#error !== undefined) return false
    return this.#log === undefined ? this.#sent === this.#stored : this.#log.isSaved
  }

  get error(): PolyphonyError | undefined {
    return this.#log?.error ?? this.#error
  }

  /** Settles once the document shows what is kept on this machine, or it is known why it cannot. */
  async load(): Promise<void> {
    const { place, clock } = this.#options
    const { tabs, name } = place
    if (tabs === undefined) return await this.#lead()
    const first = await new Promise<boolean>((resolve) => {
      void this.#request(tabs, name, true, resolve)
    })
    if (first || this.#closed) return
    const joined = new Promise<void>((resolve) => {
      const cancel = clock.after(joinTimeoutMs, resolve)
      this.#loaded = () => {
        cancel()
        resolve()
      }
    })
    void this.#request(tabs, name, false, () => undefined)
    this.#join()
    await joined
  }

  /** Keeps an edit that was made in this tab. */
  edit(update: Uint8Array): void {
    if (this.#cleared) return
    this.#sent++
    this.#record('edit', update)
    this.#post({ type: 'edit', tab: this.#tab, update, sequence: this.#sent })
  }

  /** Keeps an edit of another tab that had to wait for something else; `isLast`: no other one does. */
  keep(update: Uint8Array, { isLast }: { readonly isLast: boolean }): void {
    this.#record('edit', update)
    if (!isLast) return
    for (const [tab, sequence] of this.#owed) this.#promise(tab, sequence)
    this.#owed.clear()
  }

  /** Keeps what the server or another tab has brought. */
  content(update: Uint8Array): void {
    this.#record('content', update)
  }

  /** The server has committed this; tabs without a connection are told. */
  committed(update: Uint8Array): void {
    if (this.#unconnected.size > 0) this.#post({ type: 'committed', tab: this.#tab, update })
  }

  clocksCommitted(clocks: ReadonlyMap<number, number>): void {
    if (this.#unconnected.size > 0)
      this.#post({ type: 'clocks-committed', tab: this.#tab, clocks: [...clocks] })
  }

  /** The server has committed every edit that is kept. */
  confirmed(): void {
    this.#log?.record('confirmed')
  }

  setOnline(online: boolean): void {
    if (online === this.#online) return
    this.#online = online
    this.#post({ type: 'online', tab: this.#tab, online })
  }

  /** Removes the copy, in the name of all tabs; from then on none of them keeps anything. */
  async clear(): Promise<void> {
    if (this.#cleared) return
    if (this.#log !== undefined) return await this.#clear()
    const { clock, place } = this.#options
    await new Promise<void>((resolve, reject) => {
      const cancel = clock.after(clearTimeoutMs, () =>
        reject(
          new PolyphonyError('store-locked', `The tab that keeps "${place.id}" does not answer; try again.`),
        ),
      )
      this.#whenCleared.add(() => {
        cancel()
        resolve()
      })
      this.#post({ type: 'clear', tab: this.#tab })
    })
  }

  /** Lets another tab take over, once what was recorded is durable or has failed to be. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#leaving.abort()
    this.#loaded()
    try {
      await this.#end()
    } finally {
      this.#post({ type: 'left', tab: this.#tab })
      this.#channel?.close()
      this.#release()
    }
  }

  async #end(): Promise<void> {
    await this.#log?.close()
    await this.#opened?.close()
  }

  /** Calls `answer` with whether the lock is held; then leads until the copy is closed. */
  async #request(
    tabs: TabPlatform,
    name: string,
    ifAvailable: boolean,
    answer: (held: boolean) => void,
  ): Promise<void> {
    const options = ifAvailable ? { ifAvailable } : { signal: this.#leaving.signal }
    try {
      await tabs.locks.request(name, options, async (lock) => {
        if (lock === null || this.#closed) return answer(false)
        const released = new Promise<void>((resolve) => (this.#release = resolve))
        await this.#lead()
        answer(true)
        await released
      })
    } catch (cause) {
      if (this.#closed) return answer(false)
      this.#fail(cause)
      answer(false)
    }
  }

  async #lead(): Promise<void> {
    const { place, host } = this.#options
    this.#holdsLock = true
    try {
      // What the document has already is not from the store.
      this.#missed = this.#stateVector().length > emptyStateVectorBytes
      this.#opened = await place.open()
      const log = this.#createLog(this.#opened.store)
      const kept = new PendingEdits()
      await log.load((kind, update) => {
        host.load(update)
        if (kind === 'edit') kept.add(update)
        else if (kind === 'confirmed') kept.clear()
      })
      await this.#follow(log)
      const pending = kept.toUpdate()
      if (pending !== undefined) host.loadPending(pending)
      if (this.#closed) await this.#end()
      this.#post({ type: 'lead', tab: this.#tab })
    } catch (cause) {
      this.#fail(cause)
    }
    this.#loaded()
    host.changed()
  }

  #createLog(store: DocumentStore): LocalLog {
    const { place, host, clock, random, logger, checkpointBytes, checkpointEntries } = this.#options
    return new LocalLog({
      store,
      id: place.id,
      subject: host,
      clock,
      random,
      logger,
      changed: () => host.changed(),
      checkpointBytes,
      checkpointEntries,
    })
  }

  /** Records what the document has and the store has not: what came in while there was no log. From then on, there is. */
  async #follow(log: LocalLog): Promise<void> {
    const { host } = this.#options
    while (this.#missed) {
      this.#missed = false
      const stored = new StoredIds()
      await log.load((_kind, update) => stored.note(update))
      // What is noted meanwhile is in the document, too.
      this.#missed = false
      const content = host.diff(stored.stateVector())
      if (stored.lack(content)) log.record('content', content)
      const pending = host.pendingUpdate()
      if (pending !== undefined) log.record('edit', pending)
    }
    // In the same turn as the last look, so that nothing is missed in between.
    this.#log = log
    this.#stored = this.#sent
  }

  #record(kind: 'edit' | 'content', update: Uint8Array): void {
    if (this.#log === undefined) this.#missed = true
    else this.#log.record(kind, update)
  }

  #fail(cause: unknown): void {
    const { place, logger, host } = this.#options
    this.#error = toPolyphonyError(cause, 'store-failed', { documentId: place.id })
    logger.error(
      { documentId: place.id, code: this.#error.code, error: this.#error.message },
      'no local copy; the document is kept in memory',
    )
    host.changed()
  }

  #receive(message: TabMessage): void {
    const { host } = this.#options
    switch (message.type) {
      case 'join':
        this.#note(message.tab, message.online)
        this.#post({ type: 'online', tab: this.#tab, online: this.#online })
        if (this.#holdsLock) this.#answer(message.tab, message.stateVector)
        return
      case 'state':
        if (message.to !== this.#tab) return
        // First what is pending: as a part of the content, nothing would tell it apart.
        if (message.pending !== undefined) this.#take('edit', message.pending)
        this.#take('content', message.update)
        this.#catchUp(message.stateVector)
        this.#loaded()
        return
      case 'lead':
        this.#join()
        return
      case 'edit':
        this.#takeEdit(message.update, message.tab, message.sequence)
        return
      case 'ask':
        if (message.to === this.#tab) this.#catchUp(message.stateVector)
        return
      case 'content':
        this.#take('content', message.update)
        return
      case 'stored':
        if (message.to !== this.#tab) return
        this.#stored = Math.max(this.#stored, message.sequence)
        host.changed()
        return
      case 'committed':
        host.takeCommitted(message.update)
        return
      case 'clocks-committed':
        host.takeCommittedClocks(new Map(message.clocks))
        return
      case 'online':
        this.#note(message.tab, message.online)
        return
      case 'left':
        this.#unconnected.delete(message.tab)
        return
      case 'clear':
        if (this.#log !== undefined) this.#clear().catch((cause: unknown) => this.#fail(cause))
        return
      case 'cleared':
        this.#forget()
    }
  }

  #note(tab: string, online: boolean): void {
    if (online) this.#unconnected.delete(tab)
    else this.#unconnected.add(tab)
  }

  #answer(to: string, stateVector: Uint8Array): void {
    const { host } = this.#options
    this.#post({
      type: 'state',
      tab: this.#tab,
      to,
      update: host.diff(stateVector),
      pending: host.pendingUpdate(),
      stateVector: this.#stateVector(),
    })
  }

  /** Gives the leader what it lacks: first the edits of this tab, which it calls stored, then what else there is. */
  #catchUp(stateVector: Uint8Array): void {
    const { host } = this.#options
    const update = host.pendingUpdate() ?? nothing
    this.#post({ type: 'edit', tab: this.#tab, update, sequence: this.#sent })
    this.#post({ type: 'content', tab: this.#tab, update: host.diff(stateVector) })
  }

  #join(): void {
    this.#post({ type: 'join', tab: this.#tab, stateVector: this.#stateVector(), online: this.#online })
  }

  #take(kind: 'edit' | 'content', update: Uint8Array): boolean {
    const { fresh, isComplete } = this.#options.host.take(kind, update)
    if (fresh !== undefined) this.#record(kind, fresh)
    return isComplete
  }

  /** Calls it stored once it is; asks for what it builds on when that is not here. */
  #takeEdit(update: Uint8Array, from: string, sequence: number): void {
    if (this.#take('edit', update)) {
      this.#owed.delete(from)
      this.#promise(from, sequence)
      return
    }
    if (!this.#owed.has(from))
      this.#post({ type: 'ask', tab: this.#tab, to: from, stateVector: this.#stateVector() })
    this.#owed.set(from, sequence)
  }

  #promise(to: string, sequence: number): void {
    this.#log?.whenDurable(() => this.#post({ type: 'stored', tab: this.#tab, to, sequence }))
  }

  async #clear(): Promise<void> {
    await this.#log?.close()
    await this.#opened?.store.delete(this.#options.place.id)
    this.#post({ type: 'cleared', tab: this.#tab })
    this.#forget()
  }

  #forget(): void {
    this.#cleared = true
    this.#log = undefined
    for (const task of this.#whenCleared) task()
    this.#whenCleared.clear()
    this.#options.host.changed()
  }

  #stateVector(): Uint8Array {
    return this.#options.host.stateVector()
  }

  #post(message: TabMessage): void {
    this.#channel?.postMessage(message)
  }
}
