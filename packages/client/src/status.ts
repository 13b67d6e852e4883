import type { PolyphonyError } from '@polyphony/core'
import type { ConnectionState } from './server-connection.ts'

/** How a document stands. An object of its own for every change, so that it can be compared by identity. */
export interface DocumentStatus {
  /**
   * - `offline`: not connected; another attempt comes by itself, unless `disconnect` was called.
   * - `connecting`: an attempt is being made, or the first exchange is under way.
   * - `online`: connected, and this document shows everything that the server had when it connected.
   * - `refused`: the server refuses, and trying again is pointless: see `error`, then call `connect`.
   */
  readonly connection: ConnectionState
  /** Units (characters, elements, members) that were inserted or deleted here and are not known to be committed. */
  readonly pending: number
  /** Whether the server has committed everything that this document shows. */
  readonly saved: boolean
  /** Whether every edit made here is durable on this machine: it survives a reload, with or without the server. */
  readonly savedLocally: boolean
  /** Whether what was kept on this machine has been read. Before that, an empty document may not be empty. */
  readonly loaded: boolean
  /** `read`: the server takes no edits from this session; what is edited all the same stays pending. */
  readonly access: 'write' | 'read'
  /** Why the connection ended, was refused, or did not come about (`unreachable`). */
  readonly error?: PolyphonyError | undefined
  /** Why nothing is kept on this machine, or edits wait to be. The document goes on in memory. */
  readonly localError?: PolyphonyError | undefined
}

/** The newest status, and those who want to hear of it. */
export class StatusBoard {
  #status: DocumentStatus
  readonly #listeners = new Set<(status: DocumentStatus) => void>()
  readonly #waiting = new Set<(reason: PolyphonyError) => void>()
  #ended: PolyphonyError | undefined

  constructor(status: DocumentStatus) {
    this.#status = status
  }

  get status(): DocumentStatus {
    return this.#status
  }

  /** Keeps the object when nothing differs. */
  update(next: DocumentStatus): void {
    if (isSame(this.#status, next)) return
    this.#status = next
    for (const listener of this.#listeners) listener(next)
  }

  subscribe(listener: (status: DocumentStatus) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /**
   * Resolves with the first status, from now on, for which this holds. Rejects with what `hopeless` finds before that: why
   * waiting is pointless. Rejects as well once the board has ended.
   */
  when(
    holds: (status: DocumentStatus) => boolean,
    hopeless: (status: DocumentStatus) => PolyphonyError | undefined = () => undefined,
  ): Promise<DocumentStatus> {
    return new Promise((resolve, reject) => {
      const look = (status: DocumentStatus): void => {
        const reason = hopeless(status) ?? this.#ended
        if (!holds(status) && reason === undefined) return
        stop()
        this.#waiting.delete(give)
        if (holds(status)) resolve(status)
        else reject(reason)
      }
      const give = (reason: PolyphonyError): void => {
        stop()
        reject(reason)
      }
      const stop = this.subscribe(look)
      this.#waiting.add(give)
      look(this.#status)
    })
  }

  /** Nothing changes any more: whoever waits is told so. */
  end(reason: PolyphonyError): void {
    this.#ended = reason
    for (const reject of this.#waiting) reject(reason)
    this.#waiting.clear()
    this.#listeners.clear()
  }
}

/** Why trying again is pointless; undefined when it is not. */
export function whyRefused({ connection, error }: DocumentStatus): PolyphonyError | undefined {
  return connection === 'refused' ? error : undefined
}

function isSame(a: DocumentStatus, b: DocumentStatus): boolean {
  return (
    a.connection === b.connection &&
    a.pending === b.pending &&
    a.saved === b.saved &&
    a.savedLocally === b.savedLocally &&
    a.loaded === b.loaded &&
    a.access === b.access &&
    a.error === b.error &&
    a.localError === b.localError
  )
}
