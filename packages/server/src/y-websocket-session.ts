import { PolyphonyError, toPolyphonyError, type Limits, type Logger } from '@polyphony/core'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'
import type { Authorship } from './document-handle.ts'
import { JoinStream } from './join-stream.ts'
import type { Room } from './room.ts'
import { encodeSyncUpdate, type DeliveredEntry, type RoomSession } from './room-session.ts'
import { isEmptyUpdate } from './update-writer.ts'

/** What a session needs of a socket. */
export interface SessionSocket {
  /** `written` is called, later, once the message has left for the network; or never, when the socket goes before. */
  send(message: Uint8Array, written?: () => void): void
  close(code: number, reason: string): void
  /** Bytes that wait to be written. */
  readonly bufferedBytes: number
}

export interface YWebsocketSessionOptions {
  readonly room: Room
  readonly socket: SessionSocket
  readonly authorship: Authorship
  readonly readOnly: boolean
  readonly limits: Limits
  readonly logger: Logger
}

const messageSync = 0
const messageAwareness = 1
const messageAuth = 2
const messageQueryAwareness = 3
/** Y-Sweet's "is everything saved?": the payload comes back once everything sent before it is durable. */
const messageSaved = 102

/** Stock clients send one message per frame; each may ask for the whole document. */
const frameMessagesMax = 64
const savedQueryOverheadBytes = 64

const syncStepOne = 0
const syncStepTwo = 1
const syncUpdate = 2

/**
 * One stock y-websocket client (1 to 3) in a room. The conversation:
 *
 *   server → step 1 (what I have), awareness           client → step 1 (what I have), awareness
 *   client → step 2 (what you lack), update, …         server → update (a piece of the log), …, step 2 (empty)
 *   server → update, … (every committed entry, also to its author: that is the acknowledgement)
 *
 * What is committed while the pieces go out is among them, and so comes once. One message per frame, always: these clients read only the first message of a frame.
 */
export class YWebsocketSession implements RoomSession {
  readonly authorship: Authorship
  readonly #options: YWebsocketSessionOptions
  #closed = false
  /** Set while the client is being sent what it lacks; then nothing that is committed goes out in any other way. */
  #join: JoinStream | undefined
  /** The state vector of a step 1 that came meanwhile. */
  #nextStepOne: ReadonlyMap<number, number> | undefined
  /** Whether an update of the client is held, and its next step 2 will repeat it with what it builds on. */
  #awaitsStepTwo = false
  /** Questions "is everything saved?" that have to wait for that answer. */
  readonly #savedQueries: Uint8Array[] = []
  #savedQueryBytes = 0

  constructor(options: YWebsocketSessionOptions) {
    this.#options = options
    this.authorship = options.authorship
  }

  /** Joins the room and starts the conversation. Throws what the room says against it. */
  start(): void {
    const { room } = this.#options
    room.join(this)
    this.#sendStepOne()
    const present = room.awareness.all()
    if (present !== undefined) this.deliverAwareness(present)
  }

  /** Takes one frame from the client. Whatever is wrong with it ends the session with a code and a reason. */
  receive(frame: Uint8Array): void {
    if (this.#closed) return
    try {
      const decoder = decoding.createDecoder(frame)
      for (let count = 0; decoding.hasContent(decoder) && !this.#closed; count++) {
        if (count === frameMessagesMax) throw this.#invalid(`it holds more than ${frameMessagesMax} messages`)
        this.#receiveMessage(decoder, frame)
      }
    } catch (error) {
      this.close(
        error instanceof PolyphonyError
          ? error
          : toPolyphonyError(error, 'invalid-frame', { documentId: this.#options.room.documentId }),
      )
    }
  }

  /** Ends the session because the socket has gone. */
  end(): void {
    this.#closed = true
    this.#join?.cancel()
    this.#options.room.leave(this)
  }

  deliver(entry: DeliveredEntry): void {
    if (this.#join === undefined) this.#send(entry.syncMessage)
  }

  acknowledge(update: Uint8Array): void {
    if (!isEmptyUpdate(update)) this.#send(encodeSyncUpdate(update))
  }

  deliverAwareness(message: Uint8Array): void {
    this.#send(encodeMessage(messageAwareness, message))
  }

  /** Sends step 1, unless an answer is on its way already: it will be all that the client has. */
  requestSync(): void {
    if (this.#awaitsStepTwo) return
    this.#awaitsStepTwo = true
    this.#sendStepOne()
  }

  close(error: PolyphonyError): void {
    if (this.#closed) return
    const { room, socket, logger } = this.#options
    logger.info(
      { documentId: room.documentId, author: this.authorship.author, code: error.code },
      'session closed by the server',
    )
    this.#send(encodePermissionDenied(`${error.code}: ${error.message}`))
    this.end()
    socket.close(error.close, error.code)
  }

  #receiveMessage(decoder: decoding.Decoder, frame: Uint8Array): void {
    const type = decoding.readVarUint(decoder)
    if (type !== messageSync) this.#assertFrameSize(frame)
    switch (type) {
      case messageSync:
        this.#receiveSync(decoder, frame)
        return
      case messageAwareness:
        this.#options.room.receiveAwareness(this, decoding.readVarUint8Array(decoder))
        return
      case messageQueryAwareness: {
        const present = this.#options.room.awareness.all()
        if (present !== undefined) this.deliverAwareness(present)
        return
      }
      case messageSaved: {
        this.#answerSaved(decoding.readVarUint8Array(decoder).slice())
        return
      }
      case messageAuth:
        // Stock clients never send it; what follows cannot be told apart, so the frame ends here.
        decoder.pos = decoder.arr.length
        return
      default:
        throw this.#invalid(`the message type ${type} is unknown`)
    }
  }

  #receiveSync(decoder: decoding.Decoder, frame: Uint8Array): void {
    const { room, readOnly } = this.#options
    const type = decoding.readVarUint(decoder)
    const payload = decoding.readVarUint8Array(decoder)
    if (type !== syncStepTwo) this.#assertFrameSize(frame)
    switch (type) {
      case syncStepOne:
        this.#answerStepOne(payload)
        return
      case syncStepTwo:
        // A step 2 always repeats everything deleted, so a reader's is not worth a refusal.
        this.#awaitsStepTwo = false
        if (!readOnly && !isEmptyUpdate(payload)) room.receive(this, payload.slice(), false)
        this.#savedQueryBytes = 0
        for (const query of this.#savedQueries.splice(0)) this.#answerSaved(query)
        return
      case syncUpdate:
        if (readOnly)
          this.#send(
            encodePermissionDenied(`forbidden: the token grants reading "${room.documentId}", not writing`),
          )
        else if (!isEmptyUpdate(payload)) room.receive(this, payload.slice(), true)
        return
      default:
        throw this.#invalid(`the sync message ${type} is unknown`)
    }
  }

  #sendStepOne(): void {
    this.#send(encodeSync(syncStepOne, this.#options.room.encodeStateVector()))
  }

  /**
   * An update may be held, neither stored nor queued, until the client has answered step 1: only then is everything that
   * it sent before the question in the queue.
   */
  #answerSaved(query: Uint8Array): void {
    const { room, limits } = this.#options
    if (!this.#awaitsStepTwo) {
      room.whenDurable(() => this.#send(encodeMessage(messageSaved, query)), query.length)
      return
    }
    this.#savedQueryBytes += query.length + savedQueryOverheadBytes
    if (this.#savedQueryBytes > limits.frameBytesMax)
      throw this.#invalid('too many questions before an answer to step 1')
    this.#savedQueries.push(query)
  }

  #assertFrameSize(frame: Uint8Array): void {
    const { frameBytesMax } = this.#options.limits
    if (frame.length <= frameBytesMax) return
    throw new PolyphonyError(
      'frame-too-large',
      `A frame has at most ${frameBytesMax} bytes; this one has ${frame.length}.`,
      { limit: 'frameBytesMax' },
    )
  }

  /** Content first, then an empty step 2: clients report "synced" when that arrives. */
  #answerStepOne(encoded: Uint8Array): void {
    const has = decodeStateVector(encoded)
    if (has === undefined) throw this.#invalid('the state vector is malformed')
    if (this.#join === undefined) this.#startJoin(has)
    else this.#nextStepOne = has
  }

  #startJoin(has: ReadonlyMap<number, number>): void {
    const { room } = this.#options
    room.base.use()
    this.#join = new JoinStream({
      log: room.log,
      turns: room.turns,
      loadBase: () => room.base.load(),
      has,
      send: (message, written) => this.#send(message, written),
      done: () => this.#endJoin(),
      failed: (error) => this.close(toPolyphonyError(error, 'internal', { documentId: room.documentId })),
    })
    this.#join.start()
  }

  #endJoin(): void {
    this.#join = undefined
    this.#send(emptyStepTwo)
    const next = this.#nextStepOne
    this.#nextStepOne = undefined
    if (next !== undefined) this.#startJoin(next)
  }

  #send(message: Uint8Array, written?: () => void): void {
    if (this.#closed) return
    const { socket, limits, room, logger } = this.#options
    // A join may be larger than the bound; what counts is what waited before it.
    if (socket.bufferedBytes > limits.sendBufferBytesMax) {
      this.end()
      room.noteSlowConsumer()
      logger.warn(
        { documentId: room.documentId, author: this.authorship.author },
        'connection dropped: it does not read',
      )
      socket.close(4429, 'slow-consumer')
      return
    }
    socket.send(message, written)
  }

  #invalid(reason: string): PolyphonyError {
    return new PolyphonyError('invalid-frame', `The frame is malformed: ${reason}.`, {
      documentId: this.#options.room.documentId,
    })
  }
}

function decodeStateVector(encoded: Uint8Array): ReadonlyMap<number, number> | undefined {
  try {
    return Y.decodeStateVector(encoded)
  } catch {
    return undefined
  }
}

function encodeSync(type: number, payload: Uint8Array): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, messageSync)
  encoding.writeVarUint(encoder, type)
  encoding.writeVarUint8Array(encoder, payload)
  return encoding.toUint8Array(encoder)
}

const emptyStepTwo = encodeSync(syncStepTwo, new Uint8Array([0, 0]))

function encodeMessage(type: number, payload: Uint8Array): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, type)
  encoding.writeVarUint8Array(encoder, payload)
  return encoding.toUint8Array(encoder)
}

/** y-protocols/auth: type 2, permissionDenied (0), varString reason. */
function encodePermissionDenied(reason: string): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, messageAuth)
  encoding.writeVarUint(encoder, 0)
  encoding.writeVarString(encoder, reason)
  return encoding.toUint8Array(encoder)
}
