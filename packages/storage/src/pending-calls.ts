/** Calls that are under way, so that `close` can wait for them. */
export class PendingCalls {
  readonly #pending = new Set<Promise<unknown>>()

  /** Returns the same promise, remembered until it settles. */
  add<Result>(call: Promise<Result>): Promise<Result> {
    const settled = call.then(
      () => undefined,
      () => undefined,
    )
    this.#pending.add(settled)
    void settled.then(() => this.#pending.delete(settled))
    return call
  }

  /** Resolves once nothing is under way; never rejects. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending)
  }
}
