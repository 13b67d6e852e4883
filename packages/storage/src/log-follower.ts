import { PolyphonyError, toPolyphonyError, type Clock, type Logger, type Random } from '@polyphony/core'
import type { LogEntry, LogListener, Revision, SubscribeOptions, Unsubscribe } from './document-store.ts'
import { LogSubscription, type LogDelivery } from './log-subscription.ts'
import type { LogPosition } from './log-position.ts'
import type { LogTail, TailRequest, TailSource } from './log-tail.ts'
import { tailLost } from './tail-lost.ts'

export interface LogFollowerOptions {
  readonly source: TailSource
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** How often every subscription looks by itself, against lost notifications. */
  readonly pollMs: number
  /** Hears how far each delivery went. */
  readonly onSeen?:
    | ((
        documentId: string,
        position: { incarnation: string; revision: Revision; mark?: string | undefined },
      ) => void)
    | undefined
}

/** Entries that this process has just appended itself. */
export interface OwnEntries {
  readonly incarnation: string
  readonly mark: string
  readonly entries: readonly LogEntry[]
}

type TailResult = LogTail | PolyphonyError

const requestsMax = 64
const backoffMsFirst = 50
const backoffMsMax = 2_000

/**
 * `subscribe` for stores whose notifications may get lost, come twice, or out of order. A notification only says that a
 * document may have changed; what changed is read from the log, from where the subscription stands. A lost one is made up
 * for by the next, by `wakeAll` after a reconnect, and by a look every `pollMs`. Entries that this process appended itself
 * are taken over without a read when they continue what is there.
 */
export class LogFollower {
  readonly #options: LogFollowerOptions
  readonly #byDocument = new Map<string, Set<LogSubscription>>()
  readonly #changed = new Set<LogSubscription>()
  readonly #cancelPoll: () => void
  #pumping = false
  #failures = 0
  #closedBy: PolyphonyError | undefined

  constructor(options: LogFollowerOptions) {
    this.#options = options
    let cancel = (): void => undefined
    const schedule = (): void => {
      // Nodes that started together must not look together.
      const ms = options.pollMs * (0.75 + options.random.uint32() / 2 ** 33)
      cancel = options.clock.after(ms, () => {
        this.wakeAll()
        schedule()
      })
    }
    schedule()
    this.#cancelPoll = () => cancel()
  }

  isFollowed(documentId: string): boolean {
    return this.#byDocument.has(documentId)
  }

  /** As `DocumentStore.subscribe`. The caller has seen to it that `wake` is called from now on. */
  async subscribe(
    documentId: string,
    after: Revision,
    listener: LogListener,
    options: SubscribeOptions = {},
  ): Promise<Unsubscribe> {
    const subscription = new LogSubscription({
      documentId,
      after,
      listener,
      ended: options.ended,
      incarnation: options.incarnation,
    })
    const subscriptions = this.#byDocument.get(documentId) ?? new Set()
    this.#byDocument.set(documentId, subscriptions.add(subscription))
    try {
      const [tail] = await this.#options.source.readTails([subscription.request()])
      if (this.#closedBy !== undefined) throw this.#closedBy
      const problem = await this.#problemOf(subscription, tail)
      if (problem !== undefined) throw problem
    } catch (error) {
      this.#drop(subscription)
      throw error
    }
    subscription.start()
    this.#wake(subscription)
    return async () => this.#drop(subscription)
  }

  /** A document may have changed. With `revision`, those who are there already are left alone. */
  wake(documentId: string, at?: LogPosition): void {
    for (const subscription of this.#byDocument.get(documentId) ?? [])
      if (at === undefined || !subscription.hasSeen(at)) this.#wake(subscription)
  }

  /** Every document may have changed. */
  wakeAll(): void {
    for (const subscriptions of this.#byDocument.values())
      for (const subscription of subscriptions) this.#wake(subscription)
  }

  /** Takes entries over from an append of this process. Their bytes belong to the listeners. */
  offer(documentId: string, own: OwnEntries): void {
    const last = own.entries.at(-1)?.revision ?? 0
    for (const subscription of this.#byDocument.get(documentId) ?? []) {
      if (subscription.hasSeen({ incarnation: own.incarnation, revision: last })) continue
      if (subscription.continues(own)) this.#deliver(subscription, own)
      else this.#wake(subscription)
    }
  }

  /** Ends every subscription. */
  close(reason: PolyphonyError): void {
    if (this.#closedBy !== undefined) return
    this.#closedBy = reason
    this.#cancelPoll()
    for (const subscriptions of this.#byDocument.values())
      for (const subscription of subscriptions) subscription.end(reason)
    this.#byDocument.clear()
    this.#changed.clear()
  }

  #wake(subscription: LogSubscription): void {
    this.#changed.add(subscription)
    if (this.#pumping || this.#closedBy !== undefined) return
    this.#pumping = true
    void this.#pump().finally(() => {
      this.#pumping = false
      // What changed after the pump had looked for the last time.
      for (const waiting of this.#changed) {
        this.#wake(waiting)
        break
      }
    })
  }

  async #pump(): Promise<void> {
    // Whatever changed in the same turn is read together.
    await Promise.resolve()
    while (this.#changed.size > 0 && this.#closedBy === undefined) {
      const round: LogSubscription[] = []
      for (const subscription of this.#changed) {
        this.#changed.delete(subscription)
        if (subscription.hasEnded || subscription.isReading) continue
        subscription.isReading = true
        if (round.push(subscription) === requestsMax) break
      }
      if (round.length > 0) await this.#read(round)
    }
  }

  async #read(round: readonly LogSubscription[]): Promise<void> {
    const { source, logger } = this.#options
    try {
      const tails = await source.readTails(round.map((subscription): TailRequest => subscription.request()))
      this.#failures = 0
      for (const [index, subscription] of round.entries()) {
        subscription.isReading = false
        await this.#take(subscription, tails[index])
      }
    } catch (error) {
      for (const subscription of round) {
        subscription.isReading = false
        this.#changed.add(subscription)
      }
      const backoffMs = Math.min(backoffMsMax, backoffMsFirst * 2 ** this.#failures++)
      logger.warn(
        { error: String(error), documents: round.length, backoffMs },
        'subscriptions could not be read; tried again',
      )
      await new Promise<void>((resolve) => void this.#options.clock.after(backoffMs, resolve))
    }
  }

  async #take(subscription: LogSubscription, tail: TailResult | undefined): Promise<void> {
    if (subscription.hasEnded) return
    const problem = await this.#problemOf(subscription, tail)
    if (problem !== undefined) {
      this.#drop(subscription)
      subscription.end(problem)
    } else if (tail !== undefined && 'entries' in tail && tail.entries.length > 0) {
      this.#deliver(subscription, tail)
      if (!subscription.hasSeen(tail)) this.#changed.add(subscription)
    }
  }

  #deliver(subscription: LogSubscription, tail: LogDelivery): void {
    const { logger, onSeen } = this.#options
    try {
      const position = subscription.deliver(tail)
      if (position !== undefined) onSeen?.(subscription.documentId, position)
    } catch (cause) {
      const { documentId } = subscription
      logger.error({ documentId, error: String(cause) }, 'the listener of a subscription threw')
      this.#drop(subscription)
      subscription.end(toPolyphonyError(cause, 'internal', { documentId }))
    }
  }

  /** Why this subscription cannot go on with what was read, or `undefined`. */
  async #problemOf(
    subscription: LogSubscription,
    tail: TailResult | undefined,
  ): Promise<PolyphonyError | undefined> {
    const { documentId } = subscription
    if (tail === undefined)
      return new PolyphonyError('internal', `Nothing was read for "${documentId}".`, { documentId })
    if (tail instanceof Error) return tail
    if (tail.state !== 'broken') return subscription.problemOf(tail)
    this.#options.logger.error(
      { documentId, incarnation: tail.incarnation },
      'the log has lost its tail; it goes on as a new incarnation',
    )
    await this.#options.source.renew(documentId, tail.incarnation)
    return tailLost(documentId, tail.incarnation)
  }

  #drop(subscription: LogSubscription): void {
    subscription.leave()
    this.#changed.delete(subscription)
    const { documentId } = subscription
    const subscriptions = this.#byDocument.get(documentId)
    if (subscriptions?.delete(subscription) === true && subscriptions.size === 0)
      this.#byDocument.delete(documentId)
  }
}
