import { PolyphonyError, toPolyphonyError } from '@polyphony/core'
import type { LocalCopyHost, LocalCopyOptions, OpenedStore } from './local-place.ts'
import { LocalLog } from './local-log.ts'
import { PendingEdits } from './pending-edits.ts'
import { StoredIds } from './stored-ids.ts'
import { isTabMessage, type TabChannel, type TabMessage, type TabPlatform } from './tabs.ts'
import { within } from './within.ts'

/** A leader that does not answer for so long is not waited for: the server, or its answer, will bring the content. */
const joinTimeoutMs = 5_000
const clearTimeoutMs = 5_000
/** Closing waits so long for a leader to store what was handed to it, or to go. */
const handOverTimeoutMs = 5_000
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
  readonly #host: LocalCopyHost
  readonly #tab: string
  #channel: TabChannel | undefined
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
  #closing: Promise<void> | undefined
  #closed = false
  #online = false
  /** While this tab reads the store, as its leader. */
  #leading: Promise<void> | undefined
  /** Edits of this tab: handed to a leader, and called stored by one. */
  #sent = 0
  #stored = 0
  #loaded = (): void => undefined
  #handedOver = (): void => undefined
  #whenCleared = new Set<() => void>()

  constructor(options: LocalCopyOptions) {
    this.#options = options
    this.#host = options.host
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
    const { clock } = this.#options
    const { tabs, name } = this.#options.place
    if (tabs === undefined) return await (this.#leading = this.#lead())
    const first = await new Promise<boolean>((resolve) => {
      void this.#request(tabs, name, true, resolve)
    })
    if (first || this.#closed) return
    const joined = within(clock, joinTimeoutMs, (done) => (this.#loaded = done))
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
    if (this.#holdsLock && this.#error !== undefined) throw this.#error
    const { clock, place } = this.#options
    const isDone = await within(clock, clearTimeoutMs, (done) => {
      this.#whenCleared.add(done)
      this.#post({ type: 'clear', tab: this.#tab })
    })
    if (!isDone)
      throw new PolyphonyError('store-locked', `The tab that keeps "${place.id}" does not answer; try again.`)
  }

  /** Lets another tab take over, once what was edited is durable or has failed to be. */
  async close(): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close(): Promise<void> {
    await this.#handOver()
    this.#closed = true
    this.#loaded()
    try {
      await this.#leading
      await this.#end()
    } finally {
      this.#leave()
    }
  }

  /** Other tabs hear nothing of this one any more, and may lead. */
  #leave(): void {
    this.#leaving.abort()
    this.#post({ type: 'left', tab: this.#tab })
    this.#channel?.close()
    this.#channel = undefined
    this.#release()
  }

  /** What was edited before there was a log, or in a tab that has none, is on its way to one. */
  async #handOver(): Promise<void> {
    await this.#leading
    const { clock } = this.#options
    if (this.#log !== undefined || this.#cleared || this.#error !== undefined || this.isSaved) return
    await within(clock, handOverTimeoutMs, (done) => (this.#handedOver = done))
  }

  async #end(): Promise<void> {
    await this.#log?.close()
    const opened = this.#opened
    this.#opened = undefined
    await opened?.close()
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
        if (lock === null || this.#closed || this.#cleared) return answer(false)
        const released = new Promise<void>((resolve) => (this.#release = resolve))
        await (this.#leading = this.#lead())
        answer(true)
        await released
      })
    } catch (cause) {
      if (!this.#leaving.signal.aborted) this.#fail(cause)
      answer(false)
    }
  }

  async #lead(): Promise<void> {
    const { place, host: subject, ...options } = this.#options
    this.#holdsLock = true
    try {
      // What the document has already is not from the store.
      this.#missed = this.#host.stateVector().length > emptyStateVectorBytes
      this.#opened = await place.open()
      const { store } = this.#opened
      const log = new LocalLog({ ...options, store, id: place.id, subject, changed: () => subject.changed() })
      const kept = new PendingEdits()
      await log.load((kind, update) => {
        this.#host.load(update)
        if (kind === 'edit') kept.add(update)
        else if (kind === 'confirmed') kept.clear()
      })
      await this.#follow(log)
      const pending = kept.toUpdate()
      if (pending !== undefined) this.#host.loadPending(pending)
      // Another tab cleared the copy while this one was taking over, and has just written what it shows.
      if (this.#cleared) await this.#clear()
      this.#post({ type: 'lead', tab: this.#tab })
    } catch (cause) {
      this.#fail(cause)
    }
    this.#loaded()
    this.#host.changed()
  }

  /** Records what the document has and the store has not: what came in while there was no log. From then on, there is. */
  async #follow(log: LocalLog): Promise<void> {
    while (this.#missed && !this.#cleared) {
      this.#missed = false
      const stored = new StoredIds()
      await log.load((_kind, update) => stored.note(update))
      // What is noted meanwhile is in the document, too.
      this.#missed = false
      const content = this.#host.diff(stored.stateVector())
      if (stored.lack(content)) log.record('content', content)
      const pending = this.#host.pendingUpdate()
      if (pending !== undefined) log.record('edit', pending)
    }
    // In the same turn as the last look, so that nothing is missed in between.
    this.#log = log
    this.#stored = this.#sent
    this.#handedOver()
  }

  #record(kind: 'edit' | 'content', update: Uint8Array): void {
    this.#missed ||= this.#log === undefined
    this.#log?.record(kind, update)
  }

  #fail(cause: unknown): void {
    const { place, logger } = this.#options
    this.#error = toPolyphonyError(cause, 'store-failed', { documentId: place.id })
    this.#handedOver()
    logger.error(
      { documentId: place.id, code: this.#error.code, error: this.#error.message },
      'no local copy; the document is kept in memory',
    )
    this.#host.changed()
  }

  #receive(message: TabMessage): void {
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
        if (this.isSaved) this.#handedOver()
        this.#host.changed()
        return
      case 'committed':
        this.#host.takeCommitted(message.update)
        return
      case 'clocks-committed':
        this.#host.takeCommittedClocks(new Map(message.clocks))
        return
      case 'online':
        this.#note(message.tab, message.online)
        return
      case 'left':
        this.#unconnected.delete(message.tab)
        return
      case 'clear':
      case 'cleared':
        // Cleared already: a lock may be handed on faster than a message, and then this tab has written the copy anew.
        if (this.#log !== undefined) this.#clear().catch((cause: unknown) => this.#fail(cause))
        else if (message.type === 'cleared') this.#forget()
    }
  }

  #note(tab: string, online: boolean): void {
    if (online) this.#unconnected.delete(tab)
    else this.#unconnected.add(tab)
  }

  #answer(to: string, stateVector: Uint8Array): void {
    this.#post({
      type: 'state',
      tab: this.#tab,
      to,
      update: this.#host.diff(stateVector),
      pending: this.#host.pendingUpdate(),
      stateVector: this.#host.stateVector(),
    })
  }

  /** Gives the leader what it lacks: first the edits of this tab, which it calls stored, then what else there is. */
  #catchUp(stateVector: Uint8Array): void {
    const update = this.#host.pendingUpdate() ?? nothing
    this.#post({ type: 'edit', tab: this.#tab, update, sequence: this.#sent })
    this.#post({ type: 'content', tab: this.#tab, update: this.#host.diff(stateVector) })
  }

  #join(): void {
    this.#post({
      type: 'join',
      tab: this.#tab,
      stateVector: this.#host.stateVector(),
      online: this.#online,
    })
  }

  #take(kind: 'edit' | 'content', update: Uint8Array): boolean {
    const { fresh, isComplete } = this.#host.take(kind, update)
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
      this.#post({ type: 'ask', tab: this.#tab, to: from, stateVector: this.#host.stateVector() })
    this.#owed.set(from, sequence)
  }

  #promise(to: string, sequence: number): void {
    this.#log?.whenDurable(() => this.#post({ type: 'stored', tab: this.#tab, to, sequence }))
  }

  async #clear(): Promise<void> {
    await this.#log?.close()
    await this.#opened?.store.delete(this.#options.place.id)
    await this.#end()
    this.#post({ type: 'cleared', tab: this.#tab })
    this.#forget()
  }

  /** From now on this tab is alone with what it shows: nothing of it may get into a copy that is begun anew. */
  #forget(): void {
    this.#cleared = true
    this.#log = undefined
    this.#leave()
    this.#loaded()
    for (const task of this.#whenCleared) task()
    this.#whenCleared.clear()
    this.#host.changed()
  }

  #post(message: TabMessage): void {
    this.#channel?.postMessage(message)
  }
}
