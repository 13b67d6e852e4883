import { parseArgs } from 'node:util'
import { startPeer } from '../floor/peer.ts'
import { RoomClient } from '../floor/room-client.ts'
import { quantile } from '../quantile.ts'

// How long one edit takes on an idle server, from its author's send to a reader's callback: to another editor, and as a
// STATE_DELTA to an AG-UI watcher. The first delta after a quiet time goes out at once, so edits are spaced apart.
const { values } = parseArgs({
  options: {
    edits: { type: 'string', default: '200' },
    spacing: { type: 'string', default: '100' },
    peers: { type: 'string', default: 'relay,y-websocket,polyphony' },
  },
})
console.log('| peer | to | p50 ms | p99 ms |\n|---|---|---|---|')
for (const name of values.peers.split(',')) {
  if (name !== 'relay' && name !== 'y-websocket' && name !== 'polyphony')
    throw new TypeError(`Unknown peer ${name}`)
  const peer = await startPeer(name)
  const sentAt: number[] = []
  const toEditor: number[] = []
  const toWatcher: number[] = []
  const note = (latencies: number[]) => (id: number) =>
    latencies.push(performance.now() - (sentAt[id] ?? Number.NaN))
  const writer = await RoomClient.connect(`${peer.url}latency`, () => undefined)
  const reader = await RoomClient.connect(`${peer.url}latency`, note(toEditor))
  const watching = new AbortController()
  if (name === 'polyphony') await watch(peer.url, watching.signal, note(toWatcher))
  for (let id = 0; id < Number(values.edits); id++) {
    await new Promise((resolve) => setTimeout(resolve, Number(values.spacing)))
    sentAt[id] = performance.now()
    writer.set(id)
  }
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  watching.abort()
  writer.close()
  reader.close()
  await peer.stop()
  for (const [to, latencies] of [['editor', toEditor] as const, ['AG-UI watcher', toWatcher] as const]) {
    if (latencies.length === 0) continue
    if (latencies.length < Number(values.edits))
      throw new Error(`${name}: ${to} got ${latencies.length} of ${values.edits}`)
    console.log(
      `| ${name} | ${to} | ${quantile(latencies, 0.5).toFixed(2)} | ${quantile(latencies, 0.99).toFixed(2)} |`,
    )
  }
}
process.exit(0)

/** Reads a watch run of the document as raw server-sent events; resolves once its snapshot has come. */
async function watch(url: string, signal: AbortSignal, onMarker: (id: number) => void): Promise<void> {
  const address = `${url.replace('ws:', 'http:').replace('/sync/', '/v1/documents/')}latency/ag-ui`
  const input = {
    threadId: 't',
    runId: 'r',
    state: {},
    messages: [],
    tools: [],
    context: [],
    forwardedProps: {},
  }
  const response = await fetch(address, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify(input),
    signal,
  })
  const body = response.body
  if (!response.ok || body === null)
    throw new Error(`The watch run was refused: ${response.status} ${await response.text()}`)
  await new Promise<void>((resolve) => {
    const read = async (): Promise<void> => {
      for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
        if (chunk.includes('STATE_SNAPSHOT')) resolve()
        if (chunk.includes('STATE_DELTA'))
          for (const [, id] of chunk.matchAll(/\u00a7(\d+)\u00a7/g)) onMarker(Number(id))
      }
    }
    read().catch((error: unknown) => {
      if (!signal.aborted) throw error
    })
  })
}
