import { PolyphonyError } from '@polyphony/core'
import { JsonMirror, JsonView, type JsonPatch, type JsonValue, type PatchResult } from '@polyphony/translator'
import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import type { DocumentSettings } from './document-settings.ts'
import { LocalCopy } from './local-copy.ts'
import type { TakenUpdate } from './local-place.ts'
import { PendingEdits } from './pending-edits.ts'
import { Presence } from './presence.ts'
import { closedError, readOnlyError } from './refusal.ts'
import { ServerConnection, type ConnectionState } from './server-connection.ts'
import { StatusBoard, whyRefused, type DocumentStatus } from './status.ts'
import { isIntegrated } from './update-ids.ts'
import { valueAt } from './value-at.ts'

export interface ChangeOptions {
  /** What the recipe is about. Default: the whole state. */
  readonly pointer?: string | undefined
  /** The origin of the Yjs transaction; an `UndoManager` may track it. Default: the document. */
  readonly origin?: unknown
}

/** Makes a new value by changing the draft, which is a copy, or by giving another one back. */
export type Recipe<T> = (draft: T) => T | void

/** How long an edit may stay unconfirmed before it is sent again. */
const resendMs = 5_000
/** Origins of transactions. An edit of another tab goes on to the server, too; what is known there does not. */
const tabEdit = { from: 'an edit in another tab' }
const known = { from: 'this machine, before there was a connection' }

/**
 * A shared document that is there with and without the network. Everything in `doc`, whoever writes it (an editor's
 * binding, `change`, another tab), is kept on this machine, sent to the server, and shown as `saved` once the server has
 * committed it. Make one with `openDocument`; `close` it in the end.
 *
 *   edit → doc → pending → local copy (savedLocally)
 *                        → server → its echo, after the commit → not pending any more (saved)
 */
export class PolyphonyDocument<T = JsonValue> {
  readonly documentId: string
  readonly doc: Y.Doc
  /** The JSON face: versions, diffs, patches. */
  readonly view: JsonView
  readonly presence: Presence
  readonly #settings: DocumentSettings
  readonly #pending = new PendingEdits()
  readonly #board: StatusBoard
  readonly #copy: LocalCopy | undefined
  readonly #loaded: Promise<void>
  #mirror: JsonMirror | undefined
  #connection: ServerConnection | undefined
  #wantsConnection: boolean
  #isLoaded = false
  #access: 'write' | 'read' = 'write'
  #connectError: PolyphonyError | undefined
  #closed = false
  /** What `apply` brings, while it does. */
  #applying: { readonly origin: unknown; readonly updates: Uint8Array[] } | undefined
  #held: Uint8Array[] = []
  #confirmations = 0
  #cancelResend: (() => void) | undefined

  /** Use `openDocument`. */
  constructor(settings: DocumentSettings) {
    const { documentId, doc, view, place, clock, random, logger } = settings
    this.documentId = documentId
    this.doc = doc
    this.#settings = settings
    this.view = new JsonView(doc, view)
    this.presence = new Presence(new Awareness(doc))
    this.#wantsConnection = settings.connect
    this.#board = new StatusBoard(this.#computeStatus())
    // What a document of the application's own holds already may be known to nobody.
    if (Y.encodeStateVector(doc).length > 1) this.#pending.add(Y.encodeStateAsUpdate(doc))
    if (place !== undefined)
      this.#copy = new LocalCopy({
        place,
        clock,
        random,
        logger,
        checkpointEntries: settings.checkpointEntries,
        checkpointBytes: settings.checkpointBytes,
        host: {
          take: (kind, update) => this.#take(kind, update),
          load: (update) => void this.#apply(update, this.#knownOrigin),
          loadPending: (update) => {
            this.#pending.add(update)
            this.#resend()
          },
          takeCommitted: (update) => this.#takeCommitted(update),
          takeCommittedClocks: (clocks) => this.#confirm(() => this.#pending.confirmClocks(clocks)),
          diff: (stateVector) => Y.encodeStateAsUpdate(doc, stateVector),
          stateVector: () => Y.encodeStateVector(doc),
          snapshot: () => ({
            state: Y.encodeStateAsUpdate(doc),
            stateVector: Y.encodeStateVector(doc),
          }),
          pendingUpdate: () => this.#pending.toUpdate(),
          changed: () => this.#changed(),
        },
      })
    doc.on('update', this.#onUpdate)
    this.#loaded = this.#start()
  }

  /** The state as plain, immutable JSON; what did not change stays the very same object. O(size) for the first time. */
  get value(): T {
    // The application says what its documents look like; nothing checks it.
    return this.#mirrored().value as T
  }

  get status(): DocumentStatus {
    return this.#board.status
  }

  /** What is at a JSON pointer; undefined when there is nothing. */
  get(pointer: string): JsonValue | undefined {
    return valueAt(this.#mirrored().value, pointer)
  }

  /**
   * Edits the state by a JSON Patch, or by a recipe that changes a copy of it (of a part: `pointer`), of which what
   * differs is carried out. Throws as `JsonView.apply` and `assign` do, `forbidden` in a session that may only read, and
   * `invalid-request` after `close`; then nothing has changed.
   */
  change(
    change: JsonPatch | Recipe<JsonValue> | Recipe<T>,
    { pointer = '', origin = this }: ChangeOptions = {},
  ): PatchResult {
    if (this.#closed) throw closedError(this.documentId)
    if (this.#access === 'read') throw readOnlyError(this.documentId)
    if (typeof change !== 'function') return this.view.apply(change, { origin })
    const draft = this.view.read({ pointer })
    // As with `value`: the recipe's author knows the type of what the pointer leads to.
    const next = (change as Recipe<JsonValue>)(draft)
    return this.view.assign(next ?? draft, { pointer, origin })
  }

  /** Calls back with what is at a pointer after every change of it. */
  subscribe(pointer: string, listener: (value: JsonValue | undefined) => void): () => void {
    const mirror = this.#mirrored()
    let last = valueAt(mirror.value, pointer)
    return mirror.on('change', ({ value }) => {
      const next = valueAt(value, pointer)
      if (Object.is(next, last)) return
      last = next
      listener(next)
    })
  }

  /** Calls back after every change of the status. */
  onStatus(listener: (status: DocumentStatus) => void): () => void {
    return this.#board.subscribe(listener)
  }

  /** Resolves with the status once it is so; at once if it is. Rejects when the document is closed before that. */
  when(holds: (status: DocumentStatus) => boolean): Promise<DocumentStatus> {
    return this.#board.when(holds)
  }

  /** Resolves once the document shows what is kept on this machine. */
  async whenLoaded(): Promise<void> {
    await this.#loaded
  }

  /** Resolves once the document shows what the server has. Rejects with `status.error` when the server refuses. */
  async whenOnline(): Promise<void> {
    await this.#board.when(({ connection }) => connection === 'online', whyRefused)
  }

  /**
   * Resolves once the server has committed everything. Rejects with `status.error` when the server refuses, and with
   * `forbidden` when it takes no edits from this session.
   */
  async whenSaved(): Promise<void> {
    await this.#board.when(
      ({ saved }) => saved,
      (status) =>
        whyRefused(status) ?? (status.access === 'read' ? readOnlyError(this.documentId) : undefined),
    )
  }

  /** Connects, also after a refusal. Does nothing while connected, or after `close`. */
  connect(): void {
    if (this.#closed) return
    this.#wantsConnection = true
    this.#connection?.connect()
  }

  /** Stays offline until `connect`. */
  disconnect(): void {
    this.#wantsConnection = false
    this.#connection?.disconnect()
  }

  /**
   * Removes what is kept of the document on this machine, for all tabs; from then on it lives in memory. Edits that are
   * not committed yet are gone with the last tab. For a user who signs out: `whenSaved`, `clearLocal`, `close`.
   */
  async clearLocal(): Promise<void> {
    await this.#loaded
    await this.#copy?.clear()
  }

  /** Lets go of everything. What was edited is durable on this machine, unless `localError` says otherwise. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#cancelResend?.()
    this.doc.off('update', this.#onUpdate)
    this.#connection?.destroy()
    this.presence.destroy()
    this.#mirror?.destroy()
    this.view.destroy()
    try {
      await this.#copy?.close()
    } finally {
      this.#board.end(closedError(this.documentId))
      if (this.#settings.ownsDoc) this.doc.destroy()
    }
  }

  async #start(): Promise<void> {
    await this.#copy?.load()
    this.#isLoaded = true
    this.#changed()
    try {
      const WebSocket = await this.#settings.openWebSocket()
      if (this.#closed) return
      this.#connection = this.#createConnection(WebSocket)
      if (this.#wantsConnection) this.#connection.connect()
    } catch (cause) {
      this.#connectError = new PolyphonyError('invalid-request', 'There is no WebSocket here: pass one.', {
        cause,
      })
    }
    this.#changed()
  }

  #createConnection(WebSocket: typeof globalThis.WebSocket): ServerConnection {
    const { url, documentId, doc, token, clock, random } = this.#settings
    return new ServerConnection({
      url,
      documentId,
      doc,
      token,
      clock,
      random,
      WebSocket,
      awareness: this.presence.awareness,
      changed: () => this.#connectionChanged(),
      committed: (update) => {
        this.#confirm(() => this.#pending.confirm(update))
        this.#copy?.committed(update)
      },
      clocksCommitted: (clocks) => {
        this.#confirm(() => this.#pending.confirmClocks(clocks))
        this.#copy?.clocksCommitted(clocks)
        // All that was sent has been answered: what is still pending was sent by nobody.
        this.#resend()
      },
      readOnly: () => {
        this.#access = 'read'
        this.#changed()
      },
    })
  }

  #connectionChanged(): void {
    // Another token may grant more.
    if (this.#connection?.state === 'connecting') this.#access = 'write'
    this.#copy?.setOnline(this.#connection?.state === 'online')
    this.#changed()
  }

  readonly #onUpdate = (update: Uint8Array, origin: unknown): void => {
    if (this.#applying?.origin === origin) this.#applying?.updates.push(update)
    else if (origin === this.#knownOrigin) this.#copy?.content(update)
    else {
      this.#pending.add(update)
      this.#copy?.edit(update)
    }
    this.#releaseHeld()
    this.#changed()
  }

  get #knownOrigin(): unknown {
    return this.#connection?.origin ?? known
  }

  /** Applies what this machine had already; results in what was new to the document. */
  #apply(update: Uint8Array, origin: unknown): readonly Uint8Array[] {
    const updates: Uint8Array[] = []
    this.#applying = { origin, updates }
    try {
      Y.applyUpdate(this.doc, update, origin)
    } finally {
      this.#applying = undefined
    }
    return updates
  }

  #take(kind: 'edit' | 'content', update: Uint8Array): TakenUpdate {
    const updates = this.#apply(update, kind === 'edit' ? tabEdit : this.#knownOrigin)
    const isComplete = isIntegrated(this.doc, update)
    const fresh = updates.length === 0 ? undefined : Y.mergeUpdates([...updates])
    if (kind === 'edit') {
      if (fresh !== undefined) this.#pending.add(fresh)
      if (!isComplete) this.#held.push(update)
    }
    this.#changed()
    return { fresh, isComplete }
  }

  /**
   * Edits of other tabs that came before what they build on are no part of the document yet. What brings the rest may be
   * the server, and then they come out of Yjs under its name, though it does not have them.
   */
  #releaseHeld(): void {
    if (this.#held.length === 0) return
    const ready = this.#held.filter((update) => isIntegrated(this.doc, update))
    if (ready.length === 0) return
    this.#held = this.#held.filter((update) => !ready.includes(update))
    ready.forEach((update, index) => {
      this.#pending.add(update)
      this.#copy?.keep(update, { isLast: this.#held.length === 0 && index === ready.length - 1 })
    })
  }

  #takeCommitted(update: Uint8Array): void {
    this.#confirm(() => this.#pending.confirm(update))
    Y.applyUpdate(this.doc, update, this.#knownOrigin)
  }

  /** Runs a step that may confirm edits, and notes it when nothing is left. */
  #confirm(step: () => void): void {
    const before = this.#pending.units
    step()
    if (this.#pending.units === before) return
    this.#confirmations++
    if (this.#pending.isEmpty) this.#copy?.confirmed()
    this.#changed()
  }

  #resend(): void {
    const update = this.#pending.toUpdate()
    if (update !== undefined) this.#connection?.resend(update)
  }

  /** An edit whose confirmation does not come is sent again: the server repeats what it has. */
  #watchPending(): void {
    if (this.#cancelResend !== undefined || this.#pending.isEmpty || this.#closed) return
    const confirmations = this.#confirmations
    this.#cancelResend = this.#settings.clock.after(resendMs, () => {
      this.#cancelResend = undefined
      if (this.#confirmations === confirmations && this.#access === 'write') this.#resend()
      this.#watchPending()
    })
  }

  #mirrored(): JsonMirror {
    this.#mirror ??= new JsonMirror(this.view)
    return this.#mirror
  }

  #changed(): void {
    this.#board.update(this.#computeStatus())
    this.#watchPending()
  }

  #connectionState(): ConnectionState {
    return this.#connection?.state ?? (this.#wantsConnection ? 'connecting' : 'offline')
  }

  #computeStatus(): DocumentStatus {
    const isLoaded = this.#isLoaded
    const pending = this.#pending.units
    return {
      connection: this.#connectError === undefined ? this.#connectionState() : 'refused',
      pending,
      saved: isLoaded && pending === 0,
      savedLocally: isLoaded && this.#copy?.isSaved === true,
      loaded: isLoaded,
      access: this.#access,
      error: this.#connection?.error ?? this.#connectError,
      localError: this.#copy?.error ?? this.#settings.placeError,
    }
  }
}
