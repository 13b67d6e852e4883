import { WebSocket } from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { until } from './until.ts'

/** Some servers say "synced" first and send what they have on disk afterwards: nothing may have come for so long. */
const quietMs = 300

/** What a newcomer finds on a page: every word, with how often it is there. */
export async function countWords(url: string, documentId: string): Promise<ReadonlyMap<string, number>> {
  const doc = new Y.Doc()
  const provider = new WebsocketProvider(url, documentId, doc, {
    WebSocketPolyfill: WebSocket as unknown as typeof globalThis.WebSocket,
    disableBc: true,
    maxBackoffTime: 200,
  })
  try {
    let changedAt = performance.now()
    doc.on('update', () => (changedAt = performance.now()))
    await until(
      `a newcomer to have all of "${documentId}"`,
      () => provider.synced && performance.now() - changedAt > quietMs,
    )
    const counts = new Map<string, number>()
    for (const word of doc.getText('text').toJSON().split(' '))
      if (word !== '') counts.set(word, (counts.get(word) ?? 0) + 1)
    return counts
  } finally {
    provider.destroy()
    doc.destroy()
  }
}

/** How the words that should be there are there. */
export interface Census {
  readonly expected: number
  readonly there: number
  readonly lost: number
  /** There more than once. */
  readonly twice: number
}

export function takeCensus(expected: Iterable<string>, counts: ReadonlyMap<string, number>): Census {
  const times = [...expected].map((word) => counts.get(word) ?? 0)
  return {
    expected: times.length,
    there: times.filter((count) => count > 0).length,
    lost: times.filter((count) => count === 0).length,
    twice: [...counts.values()].filter((count) => count > 1).length,
  }
}

export function addCensus(one: Census, other: Census): Census {
  return {
    expected: one.expected + other.expected,
    there: one.there + other.there,
    lost: one.lost + other.lost,
    twice: one.twice + other.twice,
  }
}

export const emptyCensus: Census = { expected: 0, there: 0, lost: 0, twice: 0 }
