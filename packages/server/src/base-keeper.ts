import { PolyphonyError, type Clock } from '@polyphony/core'
import type { DocumentStore } from '@polyphony/storage'
import { BaseState } from './base-state.ts'
import type { DocumentLog } from './document-log.ts'
import { LogPiece, type Clocks } from './log-piece.ts'
import type { ResidentStates } from './resident-states.ts'
import { readBase } from './room-state.ts'
import { clocksOf } from './update-reader.ts'

export interface BaseKeeperOptions {
  readonly documentId: string
  readonly log: DocumentLog
  readonly store: DocumentStore
  readonly clock: Clock
  readonly residents: ResidentStates
}

const triesMax = 6
const pauseMsFirst = 50

/** Sees to it that the bytes of a document's checkpoint are in memory when they are needed, and need not be otherwise. */
export class BaseKeeper {
  readonly #options: BaseKeeperOptions
  #loading: Promise<void> | undefined

  constructor(options: BaseKeeperOptions) {
    this.#options = options
  }

  /** Somebody needs the checkpoint and found it in memory. */
  use(): void {
    this.#options.residents.use(this.#options.log.base)
  }

  /** Brings the checkpoint into memory; whoever asks meanwhile shares it. Rejects with what the store says. */
  load(): Promise<void> {
    if (this.#options.log.base.pieces !== undefined) {
      this.use()
      return Promise.resolve()
    }
    this.#loading ??= this.#load().finally(() => (this.#loading = undefined))
    return this.#loading
  }

  /** What a replica with these clocks lacks of the committed state, as updates to be applied in order. */
  async encodeDiff(has: Clocks): Promise<readonly Uint8Array[]> {
    for (;;) {
      const updates = this.#options.log.encodeDiff(has)
      if (updates !== undefined) return updates
      await this.load()
    }
  }

  /** A newer checkpoint takes the place of the one before and of the log that it covers. */
  replace(base: BaseState): void {
    const { log, residents } = this.#options
    residents.forget(log.base)
    log.rebase(base)
    residents.use(base)
  }

  /** The document is unloaded. */
  release(): void {
    this.#options.residents.forget(this.#options.log.base)
  }

  async #load(): Promise<void> {
    const { documentId, log, clock } = this.#options
    for (let tries = 0; tries < triesMax; tries++) {
      const { base } = log
      if (base.pieces !== undefined || (await this.#read(base))) {
        this.use()
        return
      }
      // The checkpoint of another node is ahead of what has arrived here.
      await new Promise<void>((resolve) => clock.after(pauseMsFirst * 2 ** tries, resolve))
    }
    throw new PolyphonyError('store-failed', `The checkpoint of "${documentId}" could not be read again.`, {
      documentId,
    })
  }

  /** Whether the store had the checkpoint, or a newer one that the log reaches. */
  async #read(base: BaseState): Promise<boolean> {
    const { documentId, log, store } = this.#options
    const pieces: LogPiece[] = []
    const clocksAt = (revision: number, update: Uint8Array): Clocks =>
      (revision === base.revision ? base.clocks[pieces.length] : undefined) ?? clocksOf(update)
    const revision = await readBase(store, documentId, (update, at) => {
      pieces.push(new LogPiece(update, clocksAt(at, update)))
    })
    if (log.base !== base) return log.base.pieces !== undefined
    if (revision === base.revision) return base.refill(pieces)
    if (revision < base.revision || revision > log.revision) return false
    this.replace(new BaseState(revision, pieces))
    return true
  }
}
