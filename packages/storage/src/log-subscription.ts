import { PolyphonyError } from '@polyphony/core'
import { documentDeleted } from './append-check.ts'
import { incarnationMismatch } from './head-condition.ts'
import type { LogEntry, LogListener, Revision } from './document-store.ts'
import type { LogPosition } from './log-position.ts'
import type { LogTail, TailRequest } from './log-tail.ts'
import { tailLost } from './tail-lost.ts'

export interface LogSubscriptionOptions {
  readonly documentId: string
  readonly after: Revision
  readonly incarnation?: string | undefined
  readonly listener: LogListener
  readonly ended?: ((reason: PolyphonyError) => void) | undefined
}

/** Consecutive entries of one incarnation; `mark` is that of the last. */
export interface LogDelivery {
  readonly incarnation: string
  readonly entries: readonly LogEntry[]
  readonly mark?: string | undefined
}

/** One listener's place in one log: decides what of a delivery is next for it, and when it cannot go on. No I/O. */
export class LogSubscription {
  readonly documentId: string
  readonly #options: LogSubscriptionOptions
  #after: Revision
  #incarnation: string | undefined
  #mark: string | undefined
  /** Whether the caller or we have seen the entry at `after`. */
  #hasSeen: boolean
  #started = false
  #ended = false
  /** Whether a read for it is under way; until `start`, the first one. */
  isReading = true

  constructor(options: LogSubscriptionOptions) {
    this.documentId = options.documentId
    this.#options = options
    this.#after = options.after
    this.#incarnation = options.incarnation
    this.#hasSeen = options.incarnation !== undefined
  }

  get hasEnded(): boolean {
    return this.#ended
  }

  /** The first read has shown that it can go on from its place. */
  start(): void {
    this.#started = true
    this.isReading = false
  }

  request(): TailRequest {
    const { documentId } = this
    const after = this.#after
    if (!this.#hasSeen || this.#incarnation === undefined) return { documentId, after }
    return { documentId, after, seen: { incarnation: this.#incarnation, revision: after, mark: this.#mark } }
  }

  /** Whether it stands at this place of its own incarnation, or beyond. */
  hasSeen({ incarnation, revision }: LogPosition): boolean {
    return this.#incarnation === incarnation && this.#after >= revision
  }

  /** Whether these entries are exactly what comes next, so that they can be delivered as they are. */
  continues({ incarnation, entries }: LogDelivery): boolean {
    const isSame = this.#incarnation === incarnation || (this.#incarnation === undefined && this.#after === 0)
    return !this.#ended && !this.isReading && isSame && entries[0]?.revision === this.#after + 1
  }

  /** Why it cannot go on with this tail, or `undefined`. */
  problemOf(tail: Exclude<LogTail, { state: 'broken' }>): PolyphonyError | undefined {
    const { documentId } = this
    const wanted = this.#incarnation
    if (tail.state === 'deleted') return documentDeleted(documentId)
    const found = tail.state === 'open' ? tail.incarnation : undefined
    if (wanted !== undefined && wanted !== found) {
      const continues = tail.state === 'open' ? tail.continues : undefined
      return continues === wanted
        ? tailLost(documentId, wanted)
        : incarnationMismatch(documentId, wanted, found)
    }
    if (tail.state === 'absent') return undefined
    this.#incarnation = found
    if (this.#after + 1 < tail.first && this.#after < tail.revision) return expired(documentId, this.#after)
    const next = tail.entries[0]?.revision
    return next !== undefined && next > this.#after + 1 ? missing(documentId, this.#after + 1) : undefined
  }

  /** Hands on what is next of these entries, and says where it stands now; `undefined` when nothing was next. */
  deliver({ incarnation, entries, mark }: LogDelivery): LogPosition | undefined {
    if (this.#ended) return undefined
    const next = entries.filter(({ revision }) => revision > this.#after)
    const last = next.at(-1)
    if (last === undefined) return undefined
    this.#after = last.revision
    this.#incarnation = incarnation
    this.#mark = mark
    this.#hasSeen = true
    this.#options.listener(next, incarnation)
    return { incarnation, revision: last.revision, mark }
  }

  /** The listener is not called again; nobody is told. */
  leave(): void {
    this.#ended = true
  }

  /** Ends it and says why; before `start`, the caller of `subscribe` is told instead. */
  end(reason: PolyphonyError): void {
    this.#ended = true
    if (this.#started) this.#options.ended?.(reason)
  }
}

function expired(documentId: string, after: Revision): PolyphonyError {
  return new PolyphonyError(
    'revision-expired',
    `Entries of "${documentId}" above ${after} are no longer retained: read the document, then subscribe.`,
    { documentId },
  )
}

function missing(documentId: string, revision: Revision): PolyphonyError {
  return new PolyphonyError(
    'store-corrupt',
    `Revision ${revision} of "${documentId}" is missing in its log.`,
    {
      documentId,
      extra: { revision },
    },
  )
}
