import type { Bus } from './bus.ts'
import { closedError } from './closed-error.ts'
import type { Unsubscribe } from './document-store.ts'

/** A bus within one process: `connect` gives each simulated node an end of its own. */
export class MemoryBus implements Bus {
  readonly #topics: Map<string, Set<Subscriber>>
  readonly #own = new Set<() => void>()
  #closed = false

  constructor(topics: Map<string, Set<Subscriber>> = new Map()) {
    this.#topics = topics
  }

  /** Another end of the same bus, closed by itself. */
  connect(): MemoryBus {
    return new MemoryBus(this.#topics)
  }

  publish(topic: string, message: Uint8Array): void {
    if (this.#closed) return
    const copy = message.slice()
    for (const subscriber of this.#topics.get(topic) ?? []) {
      // Never within the publisher's turn, as over a network.
      queueMicrotask(() => {
        if (subscriber.active) subscriber.listener(copy.slice())
      })
    }
  }

  async subscribe(topic: string, listener: (message: Uint8Array) => void): Promise<Unsubscribe> {
    if (this.#closed) throw closedError('memory bus')
    const subscriber: Subscriber = { active: true, listener }
    const subscribers = this.#topics.get(topic) ?? new Set()
    this.#topics.set(topic, subscribers.add(subscriber))
    const leave = () => {
      subscriber.active = false
      subscribers.delete(subscriber)
      if (subscribers.size === 0 && this.#topics.get(topic) === subscribers) this.#topics.delete(topic)
    }
    this.#own.add(leave)
    return async () => {
      this.#own.delete(leave)
      leave()
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const leave of this.#own) leave()
    this.#own.clear()
  }
}

interface Subscriber {
  active: boolean
  readonly listener: (message: Uint8Array) => void
}
