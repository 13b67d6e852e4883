import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'
import type { SeededRandom } from './seeded-random.ts'
import type { ToClient, Wire } from './wire.ts'

/** What an update holds, for asking whether a log has it. */
export interface SavedQuery {
  readonly payload: number
  /** Everything that the client itself had made when it asked. */
  readonly own: Uint8Array
}

/**
 * A small y-websocket client: sends its edits as they happen, synchronises when it connects, comes back after a while
 * when it loses the connection, and edits offline meanwhile.
 */
export class SimulatedClient {
  readonly name: string
  readonly documentId: string
  readonly random: SeededRandom
  doc!: Y.Doc
  wire: Wire | undefined
  synced = false
  attempts = 0
  /** Own edits, as bytes, for others to relay. */
  readonly emitted: Uint8Array[] = []
  readonly saved = new Map<number, Uint8Array>()
  readonly refusals: string[] = []
  edits = 0
  #own: Uint8Array[] = []
  #nextPayload = 1

  constructor(name: string, documentId: string, random: SeededRandom) {
    this.name = name
    this.documentId = documentId
    this.random = random
    this.reset()
  }

  /** Starts again with an empty document: the old one was deleted. */
  reset(): void {
    this.doc = new Y.Doc()
    this.doc.clientID = this.random.uint32()
    this.#own = []
    this.emitted.length = 0
    this.saved.clear()
    this.doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin === 'server') return
      if (origin !== 'relay') {
        this.emitted.push(update)
        this.#own.push(update)
      }
      this.wire?.toServer.push(message(0, 2, update))
    })
  }

  connected(wire: Wire): void {
    this.wire = wire
    this.synced = false
    wire.toServer.push(message(0, 0, Y.encodeStateVector(this.doc)))
  }

  disconnected(): void {
    this.wire = undefined
    this.synced = false
    this.saved.clear()
  }

  /** Asks whether everything that was made here so far is saved. */
  askSaved(): void {
    if (this.wire === undefined || !this.synced) return
    const payload = this.#nextPayload++
    this.saved.set(payload, Y.mergeUpdates([...this.#own, new Uint8Array([0, 0])]))
    this.wire.toServer.push(message(102, new Uint8Array([payload & 0x7f, payload >>> 7])))
  }

  /**
   * Takes in what another browser tab made: one edit, passed on as an own one or unseen; or everything, not passed on at
   * all, so that the server misses what the next edit builds on.
   */
  relay(from: SimulatedClient): void {
    const way = this.random.int(3)
    if (way === 2) {
      Y.applyUpdate(this.doc, Y.encodeStateAsUpdate(from.doc, Y.encodeStateVector(this.doc)), 'server')
      for (let i = this.random.int(3); i > 0; i--) this.edit()
      this.askSaved()
    } else if (from.emitted.length > 0) {
      const update = this.random.pick(from.emitted.slice(-6))
      if (way === 0) Y.applyUpdate(this.doc, update, 'relay')
      else this.wire?.toServer.push(message(0, 2, update))
    }
  }

  /** Handles a frame; returns what the answer to a question about saving was about. */
  receive(item: ToClient & { readonly frame: Uint8Array }): Uint8Array | undefined {
    const decoder = decoding.createDecoder(item.frame)
    const type = decoding.readVarUint(decoder)
    if (type === 102) {
      const [low = 0, high = 0] = decoding.readVarUint8Array(decoder)
      const payload = low + (high << 7)
      const own = this.saved.get(payload)
      if (own === undefined) throw new Error(`${this.name} was told that something unknown is saved`)
      this.saved.delete(payload)
      return own
    }
    if (type !== 0) return undefined
    const syncType = decoding.readVarUint(decoder)
    const payload = decoding.readVarUint8Array(decoder)
    if (syncType === 0) this.wire?.toServer.push(message(0, 1, Y.encodeStateAsUpdate(this.doc, payload)))
    else Y.applyUpdate(this.doc, payload, 'server')
    if (syncType === 1) {
      this.synced = true
      this.attempts = 0
    }
    return undefined
  }

  /** One random edit. */
  edit(): void {
    this.edits++
    const { random, doc } = this
    const state = doc.getMap<unknown>('state')
    const list = doc.getArray<unknown>('list')
    const text = doc.getText('text')
    const key = `k${random.int(5)}`
    const value = `${this.name}.${this.edits}`
    switch (random.int(12)) {
      case 0:
      case 1:
        state.set(key, value)
        break
      case 2:
        state.delete(key)
        break
      case 3:
        state.set(key, new Y.Map([['inner', value]]))
        break
      case 4:
        state.set(key, Y.Array.from([value, this.edits]))
        break
      case 5: {
        const inner = state.get(key)
        if (inner instanceof Y.Map) inner.set(`x${random.int(2)}`, value)
        else if (inner instanceof Y.Array) inner.insert(random.int(inner.length + 1), [value])
        else state.set(key, new Y.Text(value))
        break
      }
      case 6:
      case 7:
        list.insert(random.int(list.length + 1), [value])
        break
      case 8:
        if (list.length > 0) list.delete(random.int(list.length), 1)
        break
      case 9:
        if (text.length > 3) text.delete(random.int(text.length - 3), 3)
        break
      default:
        text.insert(random.int(text.length + 1), value)
    }
  }
}

/** The update of a server's frame that carries one. */
export function updateIn(frame: Uint8Array): Uint8Array | undefined {
  const decoder = decoding.createDecoder(frame)
  if (decoding.readVarUint(decoder) !== 0 || decoding.readVarUint(decoder) === 0) return undefined
  return decoding.readVarUint8Array(decoder)
}

function message(...parts: readonly (number | Uint8Array)[]): Uint8Array {
  const encoder = encoding.createEncoder()
  for (const part of parts) {
    if (typeof part === 'number') encoding.writeVarUint(encoder, part)
    else encoding.writeVarUint8Array(encoder, part)
  }
  return encoding.toUint8Array(encoder)
}
