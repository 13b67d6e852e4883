import { parseArgs } from 'node:util'
import { quantile } from '../quantile.ts'
import { peerNames, startPeer, type PeerName } from './peer.ts'
import { ceiling, fanout, type Figures } from './scenario.ts'

// The mission's floor, beside the peers, in one run: interleaved, the server on one CPU and the generator on the other.
const { values } = parseArgs({
  options: {
    peers: { type: 'string', default: 'relay,y-websocket,polyphony' },
    repeats: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '10' },
    only: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(
    `Usage: taskset -c 1 node dist/floor/main.js [--peers ${peerNames.join(',')}] [--repeats 3] [--seconds 10] [--only fanout]`,
  )
  process.exit(0)
}
const seconds = Number(values.seconds)
const scenarios: Record<string, (peer: Awaited<ReturnType<typeof startPeer>>) => Promise<Figures>> = {
  'fanout 1 room x 1,000 clients, 10 updates/s': (peer) =>
    fanout(peer, { rooms: 1, clients: 1_000, ratePerSecond: 10, seconds }),
  'fanout 100 rooms x 10 clients, 10 updates/s each': (peer) =>
    fanout(peer, { rooms: 100, clients: 1_000, ratePerSecond: 10, seconds }),
  'ceiling 1 room, 64 in flight, map': (peer) =>
    ceiling(peer, { rooms: 1, window: 64, seconds: seconds / 2, kind: 'set' }),
  'ceiling 100 rooms, 4 in flight each, map': (peer) =>
    ceiling(peer, { rooms: 100, window: 4, seconds: seconds / 2, kind: 'set' }),
  'ceiling 1 room, 64 in flight, text append': (peer) =>
    ceiling(peer, { rooms: 1, window: 64, seconds: seconds / 2, kind: 'append' }),
}
const peers = values.peers
  .split(',')
  .filter((name): name is PeerName => peerNames.some((known) => known === name))
for (const [title, run] of Object.entries(scenarios)) {
  if (!title.includes(values.only)) continue
  const figures = new Map<PeerName, Figures[]>(peers.map((name) => [name, []]))
  for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
    for (const name of peers) {
      const peer = await startPeer(name)
      try {
        figures.get(name)?.push(await run(peer))
      } finally {
        await peer.stop()
      }
    }
  }
  console.log(`\n### ${title} (median of ${values.repeats})\n`)
  console.log(
    '| peer | p50 ms | p99 ms | updates/s | RSS peak MB | server CPU | lost |\n|---|---|---|---|---|---|---|',
  )
  for (const [name, runs] of figures) {
    const cell = (key: keyof Figures, digits: number): string =>
      quantile(
        runs.map((run) => run[key]),
        0.5,
      ).toFixed(digits)
    const lost = runs.reduce((sum, run) => sum + run.lost, 0)
    console.log(
      `| ${name} | ${cell('p50Ms', 2)} | ${cell('p99Ms', 2)} | ${cell('updatesPerSecond', 0)} | ${cell('rssPeakMb', 0)} | ${cell('serverCpu', 2)} | ${lost} |`,
    )
  }
}
