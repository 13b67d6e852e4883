import type { Clock, Logger, Random } from '@polyphony/core'
import type { DocumentStore } from '@polyphony/storage'
import type { LogSubject } from './local-log.ts'
import type { TabPlatform } from './tabs.ts'

export interface OpenedStore {
  readonly store: DocumentStore
  /** Does nothing for a store that somebody else opened. */
  close(): Promise<void>
}

/** Where a local copy is kept. Opened only by the tab that leads. */
export interface LocalPlace {
  /** Names the lock and the channel of the tabs. */
  readonly name: string
  /** The document's id in the store. */
  readonly id: string
  open(): Promise<OpenedStore>
  /** Absent where no other process can have the same store open. */
  readonly tabs?: TabPlatform | undefined
}

/** What became of an update from another tab. */
export interface TakenUpdate {
  /** What of it is new here, and has to be kept. */
  readonly fresh: Uint8Array | undefined
  /** Whether the document has all of it; it lacks what that builds on otherwise. */
  readonly isComplete: boolean
}

/** The document, as its local copy sees it. */
export interface LocalCopyHost extends LogSubject {
  /** Something from another tab. */
  take(kind: 'edit' | 'content', update: Uint8Array): TakenUpdate
  /** Something from the store. */
  load(update: Uint8Array): void
  /** What of the store the server may not have; it is loaded. */
  loadPending(update: Uint8Array): void
  /** Another tab's connection has seen this committed. */
  takeCommitted(update: Uint8Array): void
  takeCommittedClocks(clocks: ReadonlyMap<number, number>): void
  stateVector(): Uint8Array
  /** What a document with this state vector lacks. */
  diff(stateVector: Uint8Array): Uint8Array
  /** Called when `isSaved` or `error` may have changed. */
  changed(): void
}

export interface LocalCopyOptions {
  readonly place: LocalPlace
  readonly host: LocalCopyHost
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly checkpointEntries?: number | undefined
  readonly checkpointBytes?: number | undefined
}

/** What tells one local copy from another. */
export interface LocalIdentity {
  /** Whom the copy belongs to. */
  readonly principal: string
  /** The address of the server's sync face. */
  readonly address: string
  readonly documentId: string
}

/** Changes when what is kept, or how, can no longer be read by older code; older copies are then left alone. */
const format = 'v1'

/** An IndexedDB database of its own for each document of each user. */
export function browserPlace(identity: LocalIdentity, tabs: TabPlatform): LocalPlace {
  const name = `polyphony-client:${JSON.stringify([format, identity.principal, identity.address, identity.documentId])}`
  return {
    name,
    id: 'document',
    tabs,
    async open() {
      const { openLevelStore } = await import('@polyphony/storage-level')
      // A checkpoint has it all; what it covers is of no use here.
      const store = await openLevelStore(name, { retention: { entries: 0, bytes: 0, ageMs: 0 } })
      return { store, close: () => store.close() }
    },
  }
}

/** A document in a store that the application has opened, and closes. */
export function storePlace(
  identity: LocalIdentity,
  store: DocumentStore,
  tabs: TabPlatform | undefined,
): LocalPlace {
  const { principal, address, documentId } = identity
  const id = [format, encodeURIComponent(principal), encodeURIComponent(address), documentId].join('/')
  return {
    name: `polyphony-client:${id}`,
    id,
    tabs,
    open: () => Promise.resolve({ store, close: () => Promise.resolve() }),
  }
}
