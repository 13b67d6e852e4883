import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { WebSocket } from 'ws'
import { storeLargeDocument, type Shape } from './large-document.ts'
import { ServerProcess, type Observation } from './server-process.ts'

const help = `Time to first byte, memory and stalls of snapshots of large states, from outside the server.

  --sizes    bytes of the states          (default 1e6,1e7,1e8)
  --shapes   strings,entries              (default both)
`

interface Figures {
  readonly firstByteMs: number
  readonly totalMs: number
  readonly bytes: number
}

/** `cold`: nothing of the document is in memory. `warm`: it is, but no snapshot of it. `shared`: another reader has one. */
export async function benchSnapshots(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      sizes: { type: 'string', default: '1e6,1e7,1e8' },
      shapes: { type: 'string', default: 'strings,entries' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(help)
  console.log(
    '| state | read | first byte ms | all ms | MB sent | extra MB | worst stall ms of another document |',
  )
  console.log('|---|---|---|---|---|---|---|')
  for (const shape of values.shapes
    .split(',')
    .filter((name): name is Shape => name === 'strings' || name === 'entries'))
    for (const bytes of values.sizes.split(',').map(Number)) await benchDocument(shape, bytes)
}

async function benchDocument(shape: Shape, bytes: number): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'polyphony-bench-'))
  const print = (
    read: string,
    { firstByteMs, totalMs, bytes: sent, extraBytes, worstStallMs }: Figures & Observation,
  ) =>
    console.log(
      `| ${shape} ${bytes / 1e6} MB | ${read} | ${firstByteMs.toFixed(0)} | ${totalMs.toFixed(0)} | ` +
        `${(sent / 1e6).toFixed(1)} | ${(extraBytes / 1e6).toFixed(0)} | ${worstStallMs.toFixed(0)} |`,
    )
  try {
    await storeLargeDocument(directory, 'large', { shape, bytes })
    let server = await ServerProcess.start(`level:${directory}`)
    try {
      const at = `${server.url}/v1/documents/large`
      print('nothing, for comparison', await server.observe(() => idle(2_000)))
      print('feed, cold', await server.observe(() => readFeed(`${at}/events`)))
      await idle(1_000)
      print('feed, warm', await server.observe(() => readFeed(`${at}/events`)))
      await idle(1_000)
      const staying = await openFeed(`${at}/events`)
      print('feed, shared', await server.observe(() => readFeed(`${at}/events`)))
      staying.destroy()
      await idle(1_000)
      print('REST, warm', await server.observe(() => readBody(at)))
      print('y-websocket, warm', await server.observe(() => joinDocument(server.url)))
    } finally {
      await server.stop()
    }
    server = await ServerProcess.start(`level:${directory}`)
    try {
      print('y-websocket, cold', await server.observe(() => joinDocument(server.url)))
    } finally {
      await server.stop()
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function idle(ms: number): Promise<Figures> {
  await new Promise((resolve) => setTimeout(resolve, ms))
  return { firstByteMs: 0, totalMs: ms, bytes: 0 }
}

async function get(url: string): Promise<IncomingMessage> {
  const outgoing = request(url, { headers: { accept: '*/*' } }).end()
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  if (response.statusCode !== 200) throw new Error(`${url} answers ${response.statusCode}`)
  return response
}

/** Reads a feed up to its first event that may be resumed from, which is the last of the snapshot. */
async function readFeed(url: string): Promise<Figures> {
  return measure(await started(() => get(url)), (tail) => /(?:^|\n)id: \S+\n/.test(tail))
}

/** A reader that has got its snapshot and stays. */
async function openFeed(url: string): Promise<IncomingMessage> {
  const response = await get(url)
  response.on('data', () => undefined)
  await idle(5_000)
  return response
}

async function readBody(url: string): Promise<Figures> {
  return measure(await started(() => get(url)), () => false)
}

async function started<T>(
  task: () => Promise<T>,
): Promise<{ readonly startedAt: number; readonly response: T }> {
  const startedAt = performance.now()
  return { startedAt, response: await task() }
}

/** Reads until the end, or until `isLast` says so of the beginning of a chunk of the stream. */
async function measure(
  { startedAt, response }: { readonly startedAt: number; readonly response: IncomingMessage },
  isLast: (text: string) => boolean,
): Promise<Figures> {
  let firstByteMs = 0
  let bytes = 0
  let isLastFrame = false
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (bytes === 0) firstByteMs = performance.now() - startedAt
    bytes += chunk.length
    isLastFrame ||= isLast(chunk.toString('latin1'))
    if (isLastFrame && chunk.at(-1) === 10 && chunk.at(-2) === 10) break
  }
  response.destroy()
  return { firstByteMs, totalMs: performance.now() - startedAt, bytes }
}

/** Joins as a stock client does, up to the step 2. */
async function joinDocument(url: string): Promise<Figures> {
  const startedAt = performance.now()
  const socket = new WebSocket(`${url.replace('http', 'ws')}/sync/large`)
  let firstByteMs = 0
  let bytes = 0
  socket.once('open', () => socket.send(Buffer.from([0, 0, 1, 0])))
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.on('message', (data: Buffer) => {
      bytes += data.length
      if (data[0] === 0 && data[1] === 2 && firstByteMs === 0) firstByteMs = performance.now() - startedAt
      if (data[0] === 0 && data[1] === 1) resolve()
    })
  })
  socket.terminate()
  return { firstByteMs, totalMs: performance.now() - startedAt, bytes }
}
