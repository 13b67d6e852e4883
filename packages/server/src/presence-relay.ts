import type { Clock, Logger, Random } from '@polyphony/core'
import type { Bus, Unsubscribe } from '@polyphony/storage'
import type { AwarenessTable } from './awareness.ts'

export interface PresenceRelayOptions {
  readonly documentId: string
  readonly bus: Bus
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** What the relay needs of a room. */
export interface PresenceRoom {
  readonly awareness: AwarenessTable
  /** Tells the sessions what has changed in the table. */
  readonly presence: { schedule(): void }
}

interface RemoteNode {
  heardAtMs: number
}

/*
 * A message: kind, id of the sending relay (16 hexadecimal digits), then an awareness message.
 *
 *   changes    what sessions of that node have changed
 *   everybody  all that are present there: the answer to a question, and every 15 s, which makes up for what was lost
 *   question   who is there? (of somebody who has just come)
 *   farewell   nobody is there any more
 */
const kinds = { changes: 0, everybody: 1, question: 2, farewell: 3 } as const
const idBytes = 16
const renewMs = 15_000
const expireMs = 45_000

/**
 * The presence of one document across nodes, over the lossy bus. A node that is not heard of for 45 s is gone, and
 * everybody on it.
 */
export class PresenceRelay {
  readonly #options: PresenceRelayOptions
  readonly #id: string
  readonly #topic: string
  readonly #nodes = new Map<string, RemoteNode>()
  #room: PresenceRoom | undefined
  #unsubscribe: Unsubscribe | undefined
  #cancelRenewal: () => void = () => undefined
  #stopped = false

  constructor(options: PresenceRelayOptions) {
    this.#options = options
    this.#id = options.random.hex(idBytes / 2)
    this.#topic = `presence/${options.documentId}`
  }

  /** Begins to relay. A bus that fails costs presence, never the document. */
  async start(room: PresenceRoom): Promise<void> {
    const { bus, logger, documentId } = this.#options
    this.#room = room
    try {
      this.#unsubscribe = await bus.subscribe(this.#topic, (message) => this.#receive(message))
      this.#publish(kinds.question)
    } catch (error) {
      logger.warn({ documentId, error: String(error) }, 'presence of other nodes cannot be heard')
    }
    this.#scheduleRenewal()
  }

  /** Tells other nodes what sessions of this one have changed. */
  send(changes: Uint8Array): void {
    this.#publish(kinds.changes, changes)
  }

  stop(): void {
    if (this.#stopped) return
    this.#publish(kinds.farewell)
    this.#stopped = true
    this.#cancelRenewal()
    const { logger, documentId } = this.#options
    this.#unsubscribe?.().catch((error: unknown) =>
      logger.debug({ documentId, error: String(error) }, 'presence not ended'),
    )
  }

  #receive(message: Uint8Array): void {
    const id = new TextDecoder().decode(message.subarray(1, 1 + idBytes))
    if (this.#stopped || this.#room === undefined || id === this.#id) return
    const body = message.subarray(1 + idBytes)
    try {
      if (this.#take(this.#room, message[0], id, body)) this.#room.presence.schedule()
    } catch (error) {
      const { logger, documentId } = this.#options
      logger.warn({ documentId, error: String(error) }, 'presence of another node is malformed')
    }
  }

  /** Returns whether anything has changed in the room. */
  #take(room: PresenceRoom, kind: number | undefined, id: string, body: Uint8Array): boolean {
    if (kind === kinds.question) {
      this.#publishEverybody()
      return false
    }
    const node = this.#nodes.get(id) ?? { heardAtMs: 0 }
    if (kind === kinds.farewell) {
      this.#nodes.delete(id)
      return room.awareness.leave(node)
    }
    node.heardAtMs = this.#options.clock.now()
    this.#nodes.set(id, node)
    return room.awareness.receiveFrom(node, body, kind === kinds.everybody)
  }

  #scheduleRenewal(): void {
    this.#cancelRenewal = this.#options.clock.after(renewMs, () => {
      this.#publishEverybody()
      this.#dropSilent()
      this.#scheduleRenewal()
    })
  }

  #dropSilent(): void {
    const room = this.#room
    let changed = false
    for (const [id, node] of this.#nodes) {
      if (this.#options.clock.now() - node.heardAtMs < expireMs) continue
      this.#nodes.delete(id)
      if (room?.awareness.leave(node) === true) changed = true
    }
    if (changed) room?.presence.schedule()
  }

  #publishEverybody(): void {
    const everybody = this.#room?.awareness.own()
    if (everybody !== undefined) this.#publish(kinds.everybody, everybody)
  }

  #publish(kind: number, body: Uint8Array = new Uint8Array()): void {
    if (this.#stopped) return
    const message = new Uint8Array(1 + idBytes + body.length)
    message[0] = kind
    message.set(new TextEncoder().encode(this.#id), 1)
    message.set(body, 1 + idBytes)
    this.#options.bus.publish(this.#topic, message)
  }
}
