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
  /** Whether it was announced on another node. */
  readonly elsewhere: boolean
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
  /** Those of them that other nodes are to hear of. */
  readonly #changedHere = new Set<number>()
  /** The clocks of those who left last, so that a late echo of their presence does not bring them back. */
  readonly #departed = new Map<number, number>()
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
      const present = this.#clients.get(client) ?? this.#left(client)
      // Stock clients renew what they hear from others too; what is not newer is their echo.
      if (!isNewer(present, clock, state)) continue
      if (present?.owner !== owner && this.#count(owner) >= this.#limits.awarenessClientsMax) {
        throw new PolyphonyError(
          'invalid-frame',
          `One session may announce ${this.#limits.awarenessClientsMax} awareness clients.`,
          { limit: 'awarenessClientsMax' },
        )
      }
      this.#clients.set(client, { clock, state, owner, elsewhere: false })
      this.#changed.add(client)
      this.#changedHere.add(client)
      changed = true
    }
    return changed
  }

  /** Takes in everybody who is present on another node, or what changed of it. Returns whether anything is to be sent. */
  receiveFrom(node: object, message: Uint8Array, isEverybody: boolean): boolean {
    const states = decodeAwareness(message, this.#limits)
    const named = new Set(states.map(({ client }) => client))
    let changed = isEverybody && this.#leave(node, (client) => !named.has(client))
    for (const { client, clock, state } of states) {
      if (!isNewer(this.#clients.get(client) ?? this.#left(client), clock, state)) continue
      this.#clients.set(client, { clock, state, owner: node, elsewhere: true })
      this.#changed.add(client)
      changed = true
    }
    return changed
  }

  /** Ends the presence of everything that a session announced. Returns whether anything is to be sent. */
  leave(owner: object): boolean {
    return this.#leave(owner, () => true)
  }

  /** What changed since the last call, as one message; `undefined` when nothing did. Who has left is gone then. */
  take(): Uint8Array | undefined {
    if (this.#changed.size === 0) return undefined
    const message = this.#encode(this.#changed)
    for (const client of this.#changed) {
      const presence = this.#clients.get(client)
      if (presence?.state === 'null') this.#depart(client, presence.clock)
    }
    this.#changed.clear()
    this.#changedHere.clear()
    return message
  }

  /** What sessions of this node have changed of it, as one message, for other nodes; before `take`, which forgets it. */
  takeOwn(): Uint8Array | undefined {
    if (this.#changedHere.size === 0) return undefined
    const message = this.#encode(this.#changedHere)
    this.#changedHere.clear()
    return message
  }

  /** Everybody who is present on this node, as one message; `undefined` when nobody is. */
  own(): Uint8Array | undefined {
    const present = [...this.#clients].filter(([, { state, elsewhere }]) => state !== 'null' && !elsewhere)
    return present.length === 0 ? undefined : this.#encode(present.map(([client]) => client))
  }

  /** Everybody who is present, as one message; `undefined` when nobody is. */
  all(): Uint8Array | undefined {
    const present = [...this.#clients].filter(([, { state }]) => state !== 'null').map(([client]) => client)
    return present.length === 0 ? undefined : this.#encode(present)
  }

  #leave(owner: object, isGone: (client: number) => boolean): boolean {
    let changed = false
    for (const [client, presence] of this.#clients) {
      if (presence.owner !== owner || presence.state === 'null' || !isGone(client)) continue
      const { clock, elsewhere } = presence
      // At the clock that it had: a client that comes back goes on from there, and would else not be believed at first.
      this.#clients.set(client, { clock, state: 'null', owner: gone, elsewhere })
      this.#changed.add(client)
      // Every node finds out by itself that another one is gone.
      if (!elsewhere) this.#changedHere.add(client)
      changed = true
    }
    return changed
  }

  #depart(client: number, clock: number): void {
    this.#clients.delete(client)
    this.#departed.delete(client)
    this.#departed.set(client, clock)
    const [oldest] = this.#departed.keys()
    if (this.#departed.size > departedMax && oldest !== undefined) this.#departed.delete(oldest)
  }

  #left(client: number): Presence | undefined {
    const clock = this.#departed.get(client)
    return clock === undefined ? undefined : { clock, state: 'null', owner: gone, elsewhere: false }
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
const departedMax = 1_000

function isNewer(present: Presence | undefined, clock: number, state: string): boolean {
  if (present === undefined) return state !== 'null'
  return clock > present.clock || (clock === present.clock && state === 'null' && present.state !== 'null')
}

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
