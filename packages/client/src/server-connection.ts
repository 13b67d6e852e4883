import { PolyphonyError, toPolyphonyError, type Clock, type Random } from '@polyphony/core'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import type { Awareness } from 'y-protocols/awareness'
import { WebsocketProvider, messageAuth, messageSync } from 'y-websocket'
import * as Y from 'yjs'
import { Backoff } from './backoff.ts'
import { judgeEnd, readDenial, unreachableError } from './refusal.ts'

/** A token, or where to get one; a function is asked before every attempt to connect. */
export type TokenSource = string | (() => string | Promise<string>)

export type ConnectionState = 'offline' | 'connecting' | 'online' | 'refused'

export interface ServerConnectionOptions {
  readonly url: string
  readonly documentId: string
  readonly doc: Y.Doc
  readonly awareness: Awareness
  readonly token: TokenSource | undefined
  readonly WebSocket: typeof globalThis.WebSocket
  readonly clock: Clock
  readonly random: Random
  /** Called after every change of `state` or `error`. */
  readonly changed: () => void
  /** The server has sent an update, which it has therefore committed; called before it is applied. */
  readonly committed: (update: Uint8Array) => void
  /** The server has committed everything below these clocks. */
  readonly clocksCommitted: (clocks: ReadonlyMap<number, number>) => void
  /** The server takes no edits from this session. */
  readonly readOnly: (reason: PolyphonyError) => void
}

const messageSaved = 102
const syncStepOne = 0
const syncStepTwo = 1
const syncUpdate = 2
const backoffFirstMs = 300
const backoffMaxMs = 30_000
/** The server's limit for one live update; more has to go as a step 2. */
const liveUpdateBytesMax = 2 << 20

/**
 * The way to the server: the stock `WebsocketProvider`, with everything around it that it leaves to applications. When to
 * connect is decided here, so that every attempt carries a fresh token and hopeless ones are not made.
 *
 *   server → step 1 (what is committed, or about to be)    client → step 2, then 102 (a question)
 *   server → updates, each of them committed               server → 102, when all that was sent before it is durable
 *
 * With its 102 the server says that the clocks of its step 1 are committed: this is how a client learns, after a
 * connection that broke, that its edits had arrived.
 */
export class ServerConnection {
  readonly #options: ServerConnectionOptions
  readonly #provider: WebsocketProvider
  readonly #backoff: Backoff
  readonly #stop: (() => void)[] = []
  #state: ConnectionState = 'offline'
  #error: PolyphonyError | undefined
  #wanted = false
  /** Attempts are numbered, so that one that waits for its token notices that it is no longer wanted. */
  #attempt = 0
  /** Whether the newest attempt has led to a connection. */
  #opened = false
  #cancelRetry = (): void => undefined
  #denied: PolyphonyError | undefined
  #lastEnd = { code: '', repeats: 0 }
  #questions = new Map<number, ReadonlyMap<number, number>>()
  #questionCount = 0

  constructor(options: ServerConnectionOptions) {
    this.#options = options
    this.#backoff = new Backoff({ random: options.random, firstMs: backoffFirstMs, maxMs: backoffMaxMs })
    this.#provider = new WebsocketProvider(
      socketAddress(options.url),
      encodeURIComponent(options.documentId),
      options.doc,
      {
        connect: false,
        awareness: options.awareness,
        WebSocketPolyfill: options.WebSocket,
        // Its channel between tabs is named after the address alone: two users of one browser would share it.
        disableBc: true,
        shouldReconnect: () => false,
      },
    )
    this.#provider.on('sync', (synced) => {
      if (synced) this.#synced()
    })
    this.#provider.on('status', ({ status }) => {
      if (status === 'connected') this.#opened = true
    })
    this.#provider.on('connection-close', (event) => this.#ended(event))
    this.#handleMessages()
    this.#followNetwork()
  }

  get state(): ConnectionState {
    return this.#state
  }

  get error(): PolyphonyError | undefined {
    return this.#error
  }

  /** The origin of transactions that come from the server; what carries it is not sent back to it. */
  get origin(): unknown {
    return this.#provider
  }

  /** Connects, and stays connected until told otherwise or refused. */
  connect(): void {
    if (this.#wanted && this.#state !== 'refused') return
    this.#wanted = true
    this.#lastEnd = { code: '', repeats: 0 }
    this.#backoff.reset()
    this.#try()
  }

  disconnect(): void {
    this.#wanted = false
    this.#error = undefined
    this.#drop()
    this.#set('offline')
  }

  destroy(): void {
    this.#wanted = false
    this.#drop()
    for (const stop of this.#stop.splice(0)) stop()
    this.#provider.destroy()
  }

  /** Sends an update once more, in case it got lost; the server answers what it has already by repeating it. */
  resend(update: Uint8Array): void {
    if (this.#state !== 'online') return
    this.#send(messageSync, (encoder) => {
      encoding.writeVarUint(encoder, update.length > liveUpdateBytesMax ? syncStepTwo : syncUpdate)
      encoding.writeVarUint8Array(encoder, update)
    })
  }

  #try(): void {
    this.#cancelRetry()
    const attempt = ++this.#attempt
    this.#set('connecting')
    this.#readToken()
      .then((token) => {
        if (attempt !== this.#attempt || !this.#wanted) return
        this.#denied = undefined
        this.#opened = false
        this.#provider.params = token === undefined ? {} : { token }
        this.#provider.connect()
      })
      .catch((cause: unknown) => {
        if (attempt === this.#attempt) this.#failed(cause)
      })
  }

  async #readToken(): Promise<string | undefined> {
    const { token } = this.#options
    return typeof token === 'function' ? await token() : token
  }

  /** No connection came about, because of the token function or the address; the former may work later. */
  #failed(cause: unknown): void {
    const { token, documentId } = this.#options
    if (typeof token !== 'function' || cause instanceof SyntaxError) {
      this.#refuse(toPolyphonyError(cause, 'invalid-request', { documentId }))
      return
    }
    this.#error = toPolyphonyError(cause, 'unauthorized', { documentId })
    this.#retry()
  }

  #retry(): void {
    this.#cancelRetry()
    this.#cancelRetry = this.#options.clock.after(this.#backoff.next(), () => this.#try())
    this.#set('offline')
  }

  #refuse(error: PolyphonyError): void {
    this.#error = error
    this.#wanted = false
    this.#set('refused')
  }

  #synced(): void {
    this.#backoff.reset()
    this.#lastEnd = { code: '', repeats: 0 }
    this.#error = undefined
    this.#set('online')
  }

  /** The provider calls this before it lets go of its socket; it does not reconnect by itself. */
  #ended(event: { readonly code: number; readonly reason: string } | null): void {
    this.#provider.shouldConnect = false
    this.#questions.clear()
    if (!this.#wanted) return
    const code = String(this.#denied?.code ?? event?.code ?? '')
    const repeats = this.#lastEnd.code === code ? this.#lastEnd.repeats + 1 : 1
    this.#lastEnd = { code, repeats }
    const verdict = judgeEnd({
      documentId: this.#options.documentId,
      code: event?.code,
      reason: event?.reason,
      denied: this.#denied,
      canRenewToken: typeof this.#options.token === 'function',
      repeats,
    })
    this.#denied = undefined
    if (verdict.action === 'stop' && verdict.error !== undefined) return this.#refuse(verdict.error)
    this.#error = verdict.error ?? (this.#opened ? undefined : unreachableError(this.#options))
    this.#retry()
  }

  #drop(): void {
    this.#attempt++
    this.#cancelRetry()
    this.#questions.clear()
    this.#provider.disconnect()
  }

  #set(state: ConnectionState): void {
    this.#state = state
    this.#options.changed()
  }

  #handleMessages(): void {
    const { messageHandlers } = this.#provider
    const handleSync = messageHandlers[messageSync]
    messageHandlers[messageSync] = (encoder, decoder, provider, emitSynced, type) => {
      const start = decoder.pos
      const kind = decoding.readVarUint(decoder)
      const payload = decoding.readVarUint8Array(decoder)
      decoder.pos = start
      if (kind === syncStepOne) this.#ask(Y.decodeStateVector(payload))
      else this.#options.committed(payload)
      handleSync?.(encoder, decoder, provider, emitSynced, type)
    }
    messageHandlers[messageAuth] = (_encoder, decoder) => {
      decoding.readVarUint(decoder)
      const denial = readDenial(decoding.readVarString(decoder), this.#options.documentId)
      // A session that may only read goes on; every other denial comes right before the close.
      if (denial.code === 'forbidden') this.#options.readOnly(denial)
      else this.#denied = denial
    }
    messageHandlers[messageSaved] = (_encoder, decoder) => {
      const question = decoding.readVarUint(decoding.createDecoder(decoding.readVarUint8Array(decoder)))
      const clocks = this.#questions.get(question)
      if (this.#questions.delete(question) && clocks !== undefined) this.#options.clocksCommitted(clocks)
    }
  }

  /** Asks whether everything is durable that the server has by now, right after the answer to its step 1. */
  #ask(clocks: ReadonlyMap<number, number>): void {
    const { ws } = this.#provider
    const question = ++this.#questionCount
    queueMicrotask(() => {
      if (ws === null || this.#provider.ws !== ws) return
      this.#questions.set(question, clocks)
      const payload = encoding.encode((encoder) => encoding.writeVarUint(encoder, question))
      this.#send(messageSaved, (encoder) => encoding.writeVarUint8Array(encoder, payload))
    })
  }

  #send(type: number, write: (encoder: encoding.Encoder) => void): void {
    const { ws, wsconnected } = this.#provider
    if (!wsconnected || ws === null) return
    ws.send(
      encoding.encode((encoder) => {
        encoding.writeVarUint(encoder, type)
        write(encoder)
      }),
    )
  }

  /** Browsers say when the network goes and comes; waiting for timeouts would be slower. */
  #followNetwork(): void {
    if (typeof window === 'undefined') return
    const lost = (): void => {
      if (!this.#wanted || this.#state === 'refused') return
      this.#drop()
      this.#retry()
    }
    const back = (): void => {
      if (!this.#wanted || this.#state !== 'offline') return
      this.#backoff.reset()
      this.#try()
    }
    const seen = (): void => {
      if (document.visibilityState === 'visible') back()
    }
    window.addEventListener('offline', lost)
    window.addEventListener('online', back)
    document.addEventListener('visibilitychange', seen)
    this.#stop.push(
      () => window.removeEventListener('offline', lost),
      () => window.removeEventListener('online', back),
      () => document.removeEventListener('visibilitychange', seen),
    )
  }
}

/** `http` addresses become `ws` addresses; the sync face is below `/sync`. Throws `invalid-request`. */
export function socketAddress(url: string): string {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch (cause) {
    throw new PolyphonyError('invalid-request', `"${url}" is not the address of a server.`, { cause })
  }
  const protocol = { 'http:': 'ws:', 'https:': 'wss:', 'ws:': 'ws:', 'wss:': 'wss:' }[parsed.protocol]
  if (protocol === undefined)
    throw new PolyphonyError('invalid-request', `"${url}" is neither an http nor a ws address.`)
  return `${protocol}//${parsed.host}${parsed.pathname.replace(/\/+$/, '')}/sync`
}
