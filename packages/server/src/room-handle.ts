import * as Y from 'yjs'
import type { PolyphonyError } from '@polyphony/core'
import type { JsonView } from '@polyphony/translator'
import type { Authorship, DocumentHandle, EditOptions, EditOutcome } from './document-handle.ts'
import type { Room } from './room.ts'

/** A face's hold on a room. */
export class RoomHandle implements DocumentHandle {
  readonly #room: Room
  readonly #leave: () => void

  constructor(room: Room, leave: () => void) {
    this.#room = room
    this.#leave = leave
  }

  get documentId(): string {
    return this.#room.documentId
  }

  get incarnation(): string {
    return this.#room.incarnation ?? 'new'
  }

  get revision(): number {
    return this.#room.revision
  }

  get hasQueued(): boolean {
    return this.#room.hasQueued
  }

  read<T>(task: (view: JsonView) => T): Promise<T> {
    return this.#room.read(task)
  }

  edit<T>(
    authorship: Authorship,
    plan: (view: JsonView) => T,
    options?: EditOptions,
  ): Promise<EditOutcome<T>> {
    return this.#room.edit(authorship, plan, options)
  }

  submit(authorship: Authorship, update: Uint8Array): Promise<{ readonly revision: number }> {
    return this.#room.submit(authorship, update)
  }

  encode(stateVector?: Uint8Array): Promise<readonly Uint8Array[]> {
    return this.#room.base.encodeDiff(
      stateVector === undefined ? new Map() : Y.decodeStateVector(stateVector),
    )
  }

  onAdvance(listener: () => void): () => void {
    return this.#room.onAdvance(listener)
  }

  onClose(listener: (error: PolyphonyError) => void): () => void {
    return this.#room.onClose(listener)
  }

  release(): void {
    this.#leave()
  }
}
