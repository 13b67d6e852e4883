import { isPolyphonyError } from '@polyphony/core'
import type { DocumentStore, LogEntry } from '@polyphony/storage'
import { eventually, expectEqual, expectTrue, readAll, WriteScenario } from '@polyphony/storage/testing'
import type { FaultyLink, RequestFault } from './faulty-link.ts'

/** Where a scenario runs: a key prefix or schema of its own. */
export interface RequestFaultPlace {
  /** Through the link, with short timeouts; it is what goes wrong. Retention: two entries. */
  openThroughLink(): Promise<DocumentStore>
  /** Past the link: another node. */
  openDirectly(): Promise<DocumentStore>
}

/**
 * Lets every request of a fixed scenario go wrong in this way, one after the other, each time on a place of its own: the
 * store must carry on by itself, have everything it acknowledged, and give another node that follows it all of it without
 * gaps. `stride` leaves requests out. Resolves with how many requests there are and how many went wrong.
 */
export async function tryEveryRequestFault(
  link: FaultyLink,
  fault: RequestFault,
  { createPlace, stride }: { readonly createPlace: () => RequestFaultPlace; readonly stride: number },
): Promise<{ readonly requests: number; readonly broken: number }> {
  await runOnce(link, createPlace(), { at: Infinity, fault })
  const { requests, faults } = link
  for (let at = 1; at <= requests; at += stride) {
    try {
      await runOnce(link, createPlace(), { at, fault })
    } catch (cause) {
      throw new Error(`Request ${at} of ${requests}, ${fault}: ${String(cause)}`, { cause })
    }
  }
  return { requests, broken: link.faults - faults }
}

async function runOnce(
  link: FaultyLink,
  place: RequestFaultPlace,
  { at, fault }: { readonly at: number; readonly fault: RequestFault },
): Promise<void> {
  const node = await place.openDirectly()
  const feed: LogEntry[] = []
  await node.subscribe?.('a', 0, (entries) => feed.push(...entries))
  link.breakRequest(at, fault)
  const store = await openPatiently(place)
  const scenario = new WriteScenario(1)
  await scenario.run(store, { retries: true })
  await scenario.verify(node)
  const { entries } = await readAll(node, 'a', { after: 0 })
  const last = (await node.head('a'))?.revision ?? 0
  await eventually(() => feed.length >= last, 'the other node hears of everything')
  const revisions = Array.from({ length: last }, (_, index) => index + 1)
  expectEqual(
    feed.map(({ revision }) => revision),
    revisions,
    'what the other node hears',
  )
  for (const entry of entries) expectEqual(feed[entry.revision - 1], entry, 'an entry that it hears')
  expectTrue(last >= 3, 'three entries were appended')
  await store.close()
  await node.close()
}

/** Opening is among what goes wrong; a server tries again. */
async function openPatiently(place: RequestFaultPlace): Promise<DocumentStore> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await place.openThroughLink()
    } catch (error) {
      if (!isPolyphonyError(error) || error.code !== 'store-failed' || attempt === 3) throw error
    }
  }
}
