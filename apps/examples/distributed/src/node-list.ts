/** The nodes that a service may ask, and which of them it asks now. In production this is the load balancer's work. */
export class NodeList {
  readonly #urls: readonly string[]
  #at: number

  /** `first` is the index of the node to begin with. */
  constructor(urls: readonly string[], first: number) {
    this.#urls = urls
    this.#at = first
  }

  get url(): string {
    return this.#urls[this.#at % this.#urls.length] ?? ''
  }

  /** The node at `failed` does not answer: goes on to the next, unless that was done already. */
  leave(failed: string): void {
    if (failed === this.url) this.#at += 1
  }
}
