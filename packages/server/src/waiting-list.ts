/** Clients of one update whose next struct waits for an id of another client. Adding and taking cost O(log n) compares. */
export class WaitingList {
  readonly #byClient = new Map<number, { readonly client: number; readonly clock: number }[]>()

  add(client: number, lacks: { readonly client: number; readonly clock: number }): void {
    const waiters = this.#byClient.get(lacks.client)
    const waiter = { client, clock: lacks.clock }
    if (waiters === undefined) {
      this.#byClient.set(lacks.client, [waiter])
      return
    }
    // Descending by clock, so that those who can go on are at the end.
    let low = 0
    let high = waiters.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((waiters[middle]?.clock ?? 0) > waiter.clock) low = middle + 1
      else high = middle
    }
    waiters.splice(low, 0, waiter)
  }

  /** Removes and returns those that wait for a clock of `client` below `reached`. */
  take(client: number, reached: number): number[] {
    const waiters = this.#byClient.get(client)
    const taken: number[] = []
    while (waiters !== undefined && waiters.length > 0) {
      const last = waiters[waiters.length - 1]
      if (last === undefined || last.clock >= reached) break
      taken.push(last.client)
      waiters.pop()
    }
    return taken
  }
}
