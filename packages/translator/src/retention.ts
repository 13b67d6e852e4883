import type { Clock } from '@polyphony/core'
import type * as Y from 'yjs'
import type { RevisionLog } from './revision-log.ts'

/** How far back versions are retained; whichever bound is hit first. */
export interface RetainOptions {
  readonly versions?: number | undefined
  readonly ms?: number | undefined
  /** Estimated bytes of what was written and deleted since. */
  readonly bytes?: number | undefined
}

const versionsDefault = 1_000

/** Moves the window of retained versions along, and collects what leaves it. */
export class Retention {
  readonly #doc: Y.Doc
  readonly #log: RevisionLog
  readonly #options: RetainOptions | undefined
  readonly #clock: Clock

  constructor(doc: Y.Doc, log: RevisionLog, options: RetainOptions | undefined, clock: Clock) {
    this.#doc = doc
    this.#log = log
    this.#options = options
    this.#clock = clock
  }

  /** Lets go of the versions that are too old by now. */
  trim(): void {
    const { versions = versionsDefault, ms, bytes } = this.#options ?? {}
    const log = this.#log
    let oldest = Math.max(log.oldest, log.revision - versions)
    if (ms !== undefined) {
      const limit = this.#clock.now() - ms
      for (const entry of log.entries) if (entry.atMs < limit) oldest = Math.max(oldest, entry.revision)
    }
    if (bytes !== undefined) {
      let excess = log.bytes - bytes
      for (const entry of log.entries) {
        if (excess <= 0) break
        excess -= entry.bytes
        oldest = Math.max(oldest, entry.revision)
      }
    }
    log.trim(oldest)
  }

  collect(): void {
    void this.#doc
  }
}
