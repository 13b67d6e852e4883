import type { PolyphonyError } from '@polyphony/core'

/** Callers who wait for something to be stored, but no longer than until it is given up. */
export class WaitingCalls {
  readonly #rejects = new Set<(error: PolyphonyError) => void>()

  /** Settles as `stored` does, or with the error of `fail` if that comes first. */
  wait<T>(stored: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#rejects.add(reject)
      void stored.then(resolve, reject).finally(() => this.#rejects.delete(reject))
    })
  }

  fail(error: PolyphonyError): void {
    for (const reject of this.#rejects) reject(error)
  }
}
