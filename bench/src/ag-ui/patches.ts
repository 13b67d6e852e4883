import { Agent, request } from 'node:http'
import { parseArgs } from 'node:util'
import { startPeer, usageOf, type Peer } from '../floor/peer.ts'
import { quantile } from '../quantile.ts'

const help = `Agents that write: PATCHes of 200 bytes, each agent one at a time, as fast as they are answered, which is
after the commit. The server on CPU 0; run this with: taskset -c 1

  --agents    agents at once               (default 100)
  --seconds   how long                     (default 10)
  --repeats   runs, of which medians       (default 3)
`

interface Figures {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly serverCpu: number
}

/** `bench:ag-ui patches` */
export async function benchPatches(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      agents: { type: 'string', default: '100' },
      seconds: { type: 'string', default: '10' },
      repeats: { type: 'string', default: '3' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(help)
  const agents = Number(values.agents)
  console.log(
    '| store | documents | durable PATCHes/s | p50 ms | p99 ms | server CPU |\n|---|---|---|---|---|---|',
  )
  for (const name of ['polyphony', 'polyphony-nofsync'] as const)
    for (const documents of [1, agents]) {
      const runs: Figures[] = []
      for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
        const peer = await startPeer(name)
        try {
          runs.push(await measure(peer, agents, documents, Number(values.seconds)))
        } finally {
          await peer.stop()
        }
      }
      const cell = (key: keyof Figures, digits: number): string =>
        quantile(
          runs.map((run) => run[key]),
          0.5,
        ).toFixed(digits)
      console.log(
        `| ${name} | ${documents} | ${cell('perSecond', 0)} | ${cell('p50Ms', 1)} | ${cell('p99Ms', 1)} | ${cell('serverCpu', 2)} |`,
      )
    }
}

async function measure(peer: Peer, agents: number, documents: number, seconds: number): Promise<Figures> {
  const connections = new Agent({ keepAlive: true, maxSockets: agents })
  const latencies: number[] = []
  const base = peer.url.replace('ws:', 'http:').replace('/sync/', '/v1/documents/')
  const work = async (until: number, agent: number): Promise<void> => {
    for (let edit = 0; performance.now() < until; edit++) {
      const sentAt = performance.now()
      await patch(connections, `${base}patched-${agent % documents}`, patchOf(agent, edit))
      latencies.push(performance.now() - sentAt)
    }
  }
  const all = Array.from({ length: agents }, (_, agent) => agent)
  // The documents come into being, and the code becomes warm.
  await Promise.all(all.map((agent) => work(performance.now() + 1_000, agent)))
  latencies.length = 0
  const before = await usageOf(peer.pid)
  const startedAt = performance.now()
  await Promise.all(all.map((agent) => work(startedAt + seconds * 1_000, agent)))
  const elapsed = (performance.now() - startedAt) / 1_000
  const after = await usageOf(peer.pid)
  connections.destroy()
  return {
    perSecond: latencies.length / elapsed,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    serverCpu: (after.cpuSeconds - before.cpuSeconds) / elapsed,
  }
}

/** A patch of 200 bytes. */
function patchOf(agent: number, edit: number): string {
  const [head, tail] = [`[{"op":"add","path":"/agent-${agent}-${edit % 10}","value":"${edit} `, '"}]']
  return head + 'x'.repeat(200 - head.length - tail.length) + tail
}

async function patch(connections: Agent, url: string, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json-patch+json', 'content-length': body.length }
    const outgoing = request(url, { method: 'PATCH', agent: connections, headers }, (response) => {
      response.on('error', reject)
      response.resume().on('end', () => {
        const { statusCode = 0 } = response
        if (statusCode >= 300) reject(new Error(`PATCH ${url}: ${statusCode}`))
        else resolve()
      })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
