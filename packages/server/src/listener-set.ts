/** Those who want to hear of something. One that fails does not keep the others from hearing it. */
export class ListenerSet<T extends readonly unknown[]> {
  readonly #listeners = new Set<(...told: T) => void>()
  readonly #onError: (error: unknown) => void

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
  }

  /** Returns how to stop listening. */
  add(listener: (...told: T) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  tell(...told: T): void {
    for (const listener of this.#listeners) {
      try {
        listener(...told)
      } catch (error) {
        this.#onError(error)
      }
    }
  }

  clear(): void {
    this.#listeners.clear()
  }
}
