import { WebSocket } from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { EchoReader } from './echo-reader.ts'
import type { Random } from './random.ts'

export interface AuthorOptions {
  readonly name: string
  /** Where the server is, and which of its documents to type into. */
  readonly url: string
  readonly documentId: string
  readonly random: Random
}

/** A word that was typed: a name for it that no other has, and where it ends among all that its author's client did. */
interface Word {
  readonly text: string
  readonly clock: number
}

/** Typing faster than the server answers is cut here, so that a kill meets a bit of everything. */
const unansweredMax = 20

/**
 * Somebody who types, by a stock y-websocket provider. Every word is marked, so that it can be counted. The server
 * sends an update back to its author as to everybody else; that echo is the acknowledgement.
 */
export class Author {
  readonly name: string
  readonly documentId: string
  readonly #doc = new Y.Doc()
  readonly #provider: WebsocketProvider
  readonly #random: Random
  readonly #words: Word[] = []
  #acknowledgedClock = 0
  #typing: NodeJS.Timeout | undefined

  constructor(options: AuthorOptions) {
    const { name, url, documentId, random } = options
    this.name = name
    this.documentId = documentId
    this.#random = random
    const reader = new EchoReader(this.#doc.clientID, (clock) => {
      this.#acknowledgedClock = Math.max(this.#acknowledgedClock, clock)
    })
    // A stock provider on a socket that is also listened to.
    class HeardSocket extends WebSocket {
      constructor(address: string) {
        super(address)
        this.on('message', (data: Buffer | ArrayBuffer) => reader.read(new Uint8Array(data)))
      }
    }
    this.#provider = new WebsocketProvider(url, documentId, this.#doc, {
      WebSocketPolyfill: HeardSocket as unknown as typeof globalThis.WebSocket,
      disableBc: true,
      maxBackoffTime: 200,
    })
  }

  get typed(): readonly string[] {
    return this.#words.map(({ text }) => text)
  }

  /** What the server has said that it has. */
  get acknowledged(): readonly string[] {
    return this.#words.filter(({ clock }) => clock <= this.#acknowledgedClock).map(({ text }) => text)
  }

  get isSynced(): boolean {
    return this.#provider.synced
  }

  /** Types on, a word every few milliseconds, until `rest` or `leave`. */
  type(): void {
    this.#typing ??= setTimeout(
      () => {
        this.#typing = undefined
        const unanswered = this.#words.at(-unansweredMax)
        if (unanswered === undefined || unanswered.clock <= this.#acknowledgedClock) this.#typeWord()
        this.type()
      },
      1 + this.#random() * 8,
    )
  }

  rest(): void {
    clearTimeout(this.#typing)
    this.#typing = undefined
  }

  /** Closes the laptop: whatever the server does not have now is gone with it. */
  leave(): void {
    this.rest()
    this.#provider.destroy()
    this.#doc.destroy()
  }

  #typeWord(): void {
    const text = this.#doc.getText('text')
    const word = `${this.name}-${this.#words.length}`
    // At either end of the page, so that no word lands within another.
    text.insert(this.#random() < 0.8 ? text.length : 0, ` ${word} `)
    this.#words.push({ text: word, clock: Y.getState(this.#doc.store, this.#doc.clientID) })
  }
}
