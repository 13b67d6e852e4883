import type { Awareness } from 'y-protocols/awareness'

/** One tab or program that has the document open. */
export interface PresentClient {
  /** The Yjs client id; new for every time a document is opened. */
  readonly clientId: number
  readonly isSelf: boolean
  /** Whatever that client says of itself: a name, a colour, a selection. Nothing about it is checked. */
  readonly state: Readonly<Record<string, unknown>>
}

/**
 * Who has the document open, by `y-protocols` awareness, which editors share: see `awareness`. Presence is never stored,
 * and is seen by those who are connected to the server.
 */
export class Presence {
  readonly awareness: Awareness
  readonly #listeners = new Set<(clients: readonly PresentClient[]) => void>()
  readonly #changed = (): void => this.#refresh()
  #clients: readonly PresentClient[]

  constructor(awareness: Awareness) {
    this.awareness = awareness
    this.#clients = read(awareness)
    awareness.on('change', this.#changed)
  }

  /** Everybody, oneself included, in order of the client ids. The same array until something changes. */
  get clients(): readonly PresentClient[] {
    return this.#clients
  }

  /** Sets members of what this client says of itself; `null` says that it is not there. */
  set(state: Readonly<Record<string, unknown>> | null): void {
    this.awareness.setLocalState(state === null ? null : { ...this.awareness.getLocalState(), ...state })
  }

  /** Calls back after every change; the returned function ends that. */
  subscribe(listener: (clients: readonly PresentClient[]) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Says goodbye. */
  destroy(): void {
    this.awareness.off('change', this.#changed)
    this.#listeners.clear()
    this.awareness.destroy()
  }

  #refresh(): void {
    this.#clients = read(this.awareness)
    for (const listener of this.#listeners) listener(this.#clients)
  }
}

function read(awareness: Awareness): readonly PresentClient[] {
  return [...awareness.getStates()]
    .map(([clientId, state]) => ({ clientId, isSelf: clientId === awareness.clientID, state }))
    .toSorted((a, b) => a.clientId - b.clientId)
}
