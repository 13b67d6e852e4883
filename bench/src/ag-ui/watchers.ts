import { parseArgs } from 'node:util'
import { startPeer, usageOf, type Peer } from '../floor/peer.ts'
import { RoomClient } from '../floor/room-client.ts'
import { quantile } from '../quantile.ts'
import { FeedWatcher } from './feed-watcher.ts'

const help = `Many readers of feeds (GET …/events), and editors that write: from an editor's send to each reader's callback.
Beside a bare broadcast of events of the same size. The server on CPU 0; run this with: taskset -c 1

  --watchers  readers                       (default 1000)
  --seconds   how long the editors write    (default 10)
  --repeats   runs, of which medians        (default 3)
`

interface Scenario {
  readonly title: string
  readonly documents: number
  /** Changes per second, of all documents together. */
  readonly rate: number
}

interface Figures {
  readonly p50Ms: number
  readonly p99Ms: number
  /** From an editor's send to its own echo, which is sent after the commit. */
  readonly commitMs: number
  readonly eventBytes: number
  readonly kilobytesPerWatcher: number
  readonly serverCpu: number
  readonly lost: number
}

/** `bench:ag-ui watchers` */
export async function benchWatchers(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      watchers: { type: 'string', default: '1000' },
      seconds: { type: 'string', default: '10' },
      repeats: { type: 'string', default: '3' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(help)
  const watchers = Number(values.watchers)
  const scenarios: readonly Scenario[] = [
    { title: `${watchers} watchers of one document, 10 changes/s`, documents: 1, rate: 10 },
    { title: `${watchers} watchers of ${watchers} documents, 500 changes/s`, documents: watchers, rate: 500 },
  ]
  for (const scenario of scenarios) {
    const runs = { polyphony: [] as Figures[], broadcast: [] as Figures[] }
    for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
      const ours = await run('polyphony', undefined, scenario, watchers, Number(values.seconds))
      runs.polyphony.push(ours)
      const bytes = Math.round(ours.eventBytes)
      runs.broadcast.push(await run('sse-relay', bytes, scenario, watchers, Number(values.seconds)))
    }
    console.log(`\n### ${scenario.title} (median of ${values.repeats})\n`)
    console.log(
      '| server | p50 ms | p99 ms | commit p50 ms | bytes of an event | KB of a watcher | server CPU | lost |',
    )
    console.log('|---|---|---|---|---|---|---|---|')
    for (const [name, figures] of Object.entries(runs)) {
      const cell = (key: keyof Figures, digits: number): string =>
        quantile(
          figures.map((figure) => figure[key]),
          0.5,
        ).toFixed(digits)
      const lost = figures.reduce((sum, figure) => sum + figure.lost, 0)
      console.log(
        `| ${name} | ${cell('p50Ms', 2)} | ${cell('p99Ms', 2)} | ${name === 'polyphony' ? cell('commitMs', 2) : ''} | ` +
          `${cell('eventBytes', 0)} | ${cell('kilobytesPerWatcher', 0)} | ${cell('serverCpu', 2)} | ${lost} |`,
      )
    }
  }
}

async function run(
  name: 'polyphony' | 'sse-relay',
  eventBytes: number | undefined,
  { documents, rate }: Scenario,
  watchers: number,
  seconds: number,
): Promise<Figures> {
  const peer = await startPeer(name, eventBytes === undefined ? [] : [`${eventBytes}`])
  try {
    return await measure(peer, documents, rate, watchers, seconds)
  } finally {
    await peer.stop()
  }
}

async function measure(
  peer: Peer,
  documents: number,
  rate: number,
  watchers: number,
  seconds: number,
): Promise<Figures> {
  const sentAt: number[] = []
  const heard: number[] = []
  const echoed: number[] = []
  const since = (id: number): number => performance.now() - (sentAt[id] ?? Number.NaN)
  const editors = await inGroups(documents, (document) =>
    RoomClient.connect(`${peer.url}watched-${document}`, (id) => echoed.push(since(id))),
  )
  // What every document has before anybody watches, so that a watcher's price is not the document's.
  editors.forEach((editor) => editor.set(0))
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  echoed.length = 0
  const before = await usageOf(peer.pid)
  const feeds = await inGroups(watchers, (index) =>
    FeedWatcher.open(feedUrl(peer, `watched-${index % documents}`), (id) => heard.push(since(id))),
  )
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  const watched = await usageOf(peer.pid)
  const total = Math.round(rate * seconds)
  const startedAt = performance.now()
  for (let id = 1; id <= total; id++) {
    const wait = startedAt + (id * 1_000) / rate - performance.now()
    if (wait > 1) await new Promise((resolve) => setTimeout(resolve, wait))
    sentAt[id] = performance.now()
    editors[id % documents]?.set(id)
  }
  const expected = total * (watchers / documents)
  for (const deadline = performance.now() + 10_000; heard.length < expected && performance.now() < deadline;)
    await new Promise((resolve) => setTimeout(resolve, 20))
  const after = await usageOf(peer.pid)
  const elapsed = (performance.now() - startedAt) / 1_000
  const bytes = feeds.reduce((sum, feed) => sum + feed.bytes, 0)
  for (const feed of feeds) feed.close()
  for (const editor of editors) editor.close()
  return {
    p50Ms: quantile(heard, 0.5),
    p99Ms: quantile(heard, 0.99),
    commitMs: quantile(echoed, 0.5),
    eventBytes: bytes / heard.length,
    kilobytesPerWatcher: (watched.rssBytes - before.rssBytes) / 1_024 / watchers,
    serverCpu: (after.cpuSeconds - watched.cpuSeconds) / elapsed,
    lost: expected - heard.length,
  }
}

function feedUrl({ name, url }: Peer, documentId: string): string {
  const http = url.replace('ws:', 'http:')
  return name === 'polyphony'
    ? `${http.replace('/sync/', '/v1/documents/')}${documentId}/events`
    : http + documentId
}

async function inGroups<T>(count: number, open: (index: number) => Promise<T>): Promise<T[]> {
  const all: T[] = []
  while (all.length < count)
    all.push(
      ...(await Promise.all(
        Array.from({ length: Math.min(50, count - all.length) }, (_, i) => open(all.length + i)),
      )),
    )
  return all
}
