import { PolyphonyError, type Limits } from '@polyphony/core'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'

/** One client's presence, as y-protocols' awareness carries it. */
interface Presence {
  readonly clock: number
  /** JSON, or `"null"` for a client that has left. */
  readonly state: string
  /** Whoever announced it last; its presence ends with that session. */
  readonly owner: object
}

interface AwarenessMessage {
  readonly client: number
  readonly clock: number
  readonly state: string
}

/**
 * Who is present in a room. States are relayed as they came, never interpreted, never stored. What changed is gathered
 * until `take` is called, so that a burst becomes one message.
 */
export class AwarenessTable {
  readonly #clients = new Map<number, Presence>()
  readonly #changed = new Set<number>()
  readonly #limits: Limits

  constructor(limits: Limits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#clients.size
  }

  /** Takes in a message of a session. Returns whether anything is to be sent. Throws `invalid-frame`, `frame-too-large`. */
  receive(message: Uint8Array, owner: object): boolean {
    let changed = false
    for (const { client, clock, state } of decodeAwareness(message, this.#limits)) {
      const present = this.#clients.get(client)
      const newer =
        present === undefined
          ? state !== 'null'
          : clock > present.clock || (clock === present.clock && state === 'null' && present.state !== 'null')
      // Stock clients renew what they hear from others too; what is not newer is their echo.
      if (!newer) continue
      if (present?.owner !== owner && this.#count(owner) >= this.#limits.awarenessClientsMax) {
        throw new PolyphonyError(
          'invalid-frame',
          `One session may announce ${this.#limits.awarenessClientsMax} awareness clients.`,
          { limit: 'awarenessClientsMax' },
        )
      }
      this.#clients.set(client, { clock, state, owner })
      this.#changed.add(client)
      changed = true
    }
    return changed
  }

  /** Ends the presence of everything that a session announced. Returns whether anything is to be sent. */
  leave(owner: object): boolean {
    let changed = false
    for (const [client, presence] of this.#clients) {
      if (presence.owner !== owner || presence.state === 'null') continue
      this.#clients.set(client, { clock: presence.clock + 1, state: 'null', owner: gone })
      this.#changed.add(client)
      changed = true
    }
    return changed
  }

  /** What changed since the last call, as one message; `undefined` when nothing did. Forgets who has left. */
  take(): Uint8Array | undefined {
    if (this.#changed.size === 0) return undefined
    const message = this.#encode(this.#changed)
    for (const client of this.#changed)
      if (this.#clients.get(client)?.state === 'null') this.#clients.delete(client)
    this.#changed.clear()
    return message
  }

  /** Everybody who is present, as one message; `undefined` when nobody is. */
  all(): Uint8Array | undefined {
    const present = [...this.#clients].filter(([, { state }]) => state !== 'null').map(([client]) => client)
    return present.length === 0 ? undefined : this.#encode(present)
  }

  #count(owner: object): number {
    let count = 0
    for (const presence of this.#clients.values()) if (presence.owner === owner) count++
    return count
  }

  #encode(clients: Iterable<number>): Uint8Array {
    const known = [...clients].flatMap((client) => {
      const presence = this.#clients.get(client)
      return presence === undefined ? [] : [{ client, clock: presence.clock, state: presence.state }]
    })
    return encodeAwareness(known)
  }
}

const gone = {}

/** varUint count, then per client: varUint id, varUint clock, varString JSON (y-protocols/awareness). */
export function encodeAwareness(states: readonly AwarenessMessage[]): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, states.length)
  for (const { client, clock, state } of states) {
    encoding.writeVarUint(encoder, client)
    encoding.writeVarUint(encoder, clock)
    encoding.writeVarString(encoder, state)
  }
  return encoding.toUint8Array(encoder)
}

export function decodeAwareness(message: Uint8Array, limits: Limits): AwarenessMessage[] {
  try {
    const decoder = decoding.createDecoder(message)
    const states: AwarenessMessage[] = []
    for (let left = decoding.readVarUint(decoder); left > 0; left--) {
      const client = decoding.readVarUint(decoder)
      const clock = decoding.readVarUint(decoder)
      const state = decoding.readVarString(decoder)
      if (state.length > limits.awarenessBytesMax) {
        throw new PolyphonyError(
          'frame-too-large',
          `An awareness state has at most ${limits.awarenessBytesMax} bytes.`,
          { limit: 'awarenessBytesMax' },
        )
      }
      const parsed: unknown = JSON.parse(state)
      if (parsed !== null && typeof parsed !== 'object')
        throw new TypeError('an awareness state is an object or null')
      states.push({ client, clock, state })
    }
    return states
  } catch (cause) {
    if (cause instanceof PolyphonyError) throw cause
    throw new PolyphonyError('invalid-frame', 'The awareness message is malformed.', { cause })
  }
}
