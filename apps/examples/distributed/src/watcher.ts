import { setTimeout as sleep } from 'node:timers/promises'
import { createParser } from 'eventsource-parser'
import jsonPatch from 'fast-json-patch'
import type { NodeList } from './node-list.ts'
import { asShop, emptyShop, shopId, type Sight } from './shop.ts'

/**
 * Follows the shop by server-sent events. When its node goes away it comes back to another with `Last-Event-ID`, and
 * gets what it missed, because a version means the same on every node.
 */
export class Watcher {
  readonly #nodes: NodeList
  readonly #stopping = new AbortController()
  readonly #listeners = new Set<() => void>()
  readonly #running: Promise<void>
  #state: unknown = emptyShop()
  #version = ''
  #resumed = 0

  constructor(nodes: NodeList) {
    this.#nodes = nodes
    this.#running = this.#run()
  }

  get sight(): Sight {
    return { shop: asShop(this.#state), version: this.#version }
  }

  /** How often it went on elsewhere without a new snapshot. */
  get resumed(): number {
    return this.#resumed
  }

  /** Resolves when `find` finds something, now or after a later change; with `undefined` when it was stopped. */
  async next<Found>(find: (sight: Sight) => Found | undefined): Promise<Found | undefined> {
    while (!this.#stopping.signal.aborted) {
      const found = this.#version === '' ? undefined : find(this.sight)
      if (found !== undefined) return found
      await this.changed()
    }
    return undefined
  }

  /** Resolves with the next change, or when it is stopped. */
  async changed(): Promise<void> {
    if (!this.#stopping.signal.aborted) await new Promise<void>((resolve) => this.#listeners.add(resolve))
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#tell()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const { url } = this.#nodes
      try {
        await this.#follow(url)
      } catch {
        // Whatever ended it, the way on is the same: another node, from where it was.
        this.#nodes.leave(url)
      }
      if (!this.#stopping.signal.aborted) await sleep(50)
    }
  }

  async #follow(url: string): Promise<void> {
    const isResuming = this.#version !== ''
    const headers = isResuming ? { 'last-event-id': this.#version } : {}
    const address = `${url}/v1/documents/${shopId}/events`
    const response = await fetch(address, { headers, signal: this.#stopping.signal })
    if (!response.ok || response.body === null) throw new Error(`No events: ${response.status}`)
    let isFirst = true
    const parser = createParser({
      onEvent: ({ event, data }) => {
        if (event === 'problem') throw new Error(data)
        const isSnapshot = this.#take(JSON.parse(data))
        if (isFirst && isResuming && !isSnapshot) this.#resumed += 1
        isFirst = false
      },
    })
    const decoder = new TextDecoder()
    for await (const chunk of response.body) parser.feed(decoder.decode(chunk, { stream: true }))
    this.#nodes.leave(url)
  }

  /** Takes an event in; returns whether it was a snapshot. A delta has to fit what it has. */
  #take(event: unknown): boolean {
    const { type, snapshot, delta, metadata } = event as FeedEvent
    if (type === 'STATE_SNAPSHOT') this.#state = snapshot
    else if (type !== 'STATE_DELTA') return false
    else if (metadata.polyphony.previous === this.#version)
      this.#state = jsonPatch.applyPatch(this.#state, delta, false, false).newDocument
    else throw new Error('An event is missing.')
    this.#version = metadata.polyphony.version
    this.#tell()
    return type === 'STATE_SNAPSHOT'
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
    this.#listeners.clear()
  }
}

interface FeedEvent {
  readonly type: string
  readonly snapshot: unknown
  readonly delta: readonly jsonPatch.Operation[]
  readonly metadata: { readonly polyphony: { readonly version: string; readonly previous: string | null } }
}
