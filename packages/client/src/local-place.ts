import type { DocumentStore } from '@polyphony/storage'
import type { LocalPlace } from './local-copy.ts'
import type { TabPlatform } from './tabs.ts'

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
