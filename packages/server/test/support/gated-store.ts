import { PolyphonyError } from '@polyphony/core'
import type { Append, AppendResult, DocumentStore } from '@polyphony/storage'

/** A store whose appends wait, fail, or fail after having been carried out, as a test says. */
export class GatedStore {
  readonly appends: (readonly Append[])[] = []
  #gate: Promise<void> = Promise.resolve()
  #open: () => void = () => undefined
  failures = 0
  /** Carry the append out, then report a failure: nobody knows its fate. */
  failAfterwards = false

  readonly store: DocumentStore

  constructor(inner: DocumentStore) {
    this.store = new Proxy(inner, {
      get: (target, key) => {
        if (key === 'append') return (batch: readonly Append[]) => this.#append(target, batch)
        const value: unknown = Reflect.get(target, key, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }

  hold(): void {
    this.#gate = new Promise((resolve) => {
      this.#open = resolve
    })
  }

  release(): void {
    this.#open()
  }

  async #append(inner: DocumentStore, batch: readonly Append[]): Promise<readonly AppendResult[]> {
    this.appends.push(batch)
    await this.#gate
    if (this.failures > 0) {
      this.failures--
      if (this.failAfterwards) await inner.append(batch)
      throw new PolyphonyError('store-failed', 'The test made this append fail.')
    }
    return inner.append(batch)
  }
}
