import { patched, type JsonValue, type SplicePatch } from '@polyphony/translator'
import jsonPatch from 'fast-json-patch'
import { EventSource } from 'eventsource'
import { request, type IncomingMessage } from 'node:http'
import { createBrotliDecompress, createGunzip } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import type { AgentEvent } from './support/agents.ts'
import { openEditor, synced, until } from './support/editor.ts'
import { send, startServer, type TestServer } from './support/http.ts'
import { startProxy } from './support/tcp-proxy.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

let server: TestServer
beforeEach(async () => {
  server = await startServer({ limits: { feedStallMs: 2_000 }, keepAliveMs: 500 })
  cleanups.push(() => server.close())
})

const patch = (documentId: string, operations: unknown) =>
  send('PATCH', server.address(documentId), { patch: operations })

/** A browser's client and the state that it holds. */
class Subscriber {
  readonly events: AgentEvent[] = []
  readonly problems: unknown[] = []
  readonly source: EventSource
  state: unknown
  version: string | null = null
  opened = 0

  constructor(url: string) {
    this.source = new EventSource(url)
    this.source.addEventListener('open', () => (this.opened += 1))
    this.source.addEventListener('problem', ({ data }) => void this.problems.push(JSON.parse(data as string)))
    this.source.addEventListener('message', ({ data }) =>
      this.#take(JSON.parse(data as string) as AgentEvent),
    )
    cleanups.push(() => this.source.close())
  }

  #take(event: AgentEvent): void {
    this.events.push(event)
    const { previous, version } = event.metadata!.polyphony!
    if (event.type === 'STATE_SNAPSHOT') this.state = event.snapshot
    else if (event.type === 'CUSTOM') {
      expect(previous).toBe(this.version)
      this.state = patched(this.state as JsonValue, event.value as SplicePatch)
    } else {
      expect(previous).toBe(this.version)
      this.state = jsonPatch.applyPatch(
        this.state,
        event.delta as jsonPatch.Operation[],
        true,
        false,
      ).newDocument
    }
    this.version = version
  }
}

describe('EventSource', () => {
  test('a snapshot, then every change', async () => {
    await send('PUT', server.address('a'), { json: { list: [] } })
    const reader = new Subscriber(server.address('a', '/events'))
    await until('the snapshot', () => reader.events.length === 1)
    for (let index = 0; index < 10; index++) await patch('a', [{ op: 'add', path: '/list/0', value: index }])
    await until('the changes', () => (reader.state as { list: number[] }).list.length === 10)
    expect(reader.state).toEqual((await send('GET', server.address('a'))).body)
    expect(reader.version).toBe((await send('GET', server.address('a'))).version)
  })

  test('who asks for splices gets the change of a long text, others the text', async () => {
    const editor = openEditor(server.url, 'a')
    cleanups.push(() => editor.close())
    const body = new Y.Text('a line of a long text\n'.repeat(2_000))
    editor.doc.getMap('state').set('body', body)
    await synced(editor)
    const readers = ['?splices', '?splices', '', '?splices&path=/body'].map(
      (query) => new Subscriber(server.address('a', `/events${query}`)),
    )
    await until('the snapshots', () => readers.every(({ events }) => events.length > 0))
    body.insert(20_000, '😀')
    body.delete(10_000, 5)
    const wanted = body.toJSON()
    const held = ({ state }: Subscriber): unknown =>
      typeof state === 'string' ? state : (state as { body?: string }).body
    await until('the change', () => readers.every((reader) => held(reader) === wanted))
    const sizes = readers.map(({ events }) => JSON.stringify(events.slice(1)).length)
    expect(sizes.map((size) => size > body.length)).toEqual([false, false, true, false])
    for (const { events } of readers.filter((_, index) => index !== 2))
      expect(events.slice(1).map(({ type, name }) => `${type} ${name}`)).toContain('CUSTOM polyphony.delta')
  })

  test('after a drop it resumes with what it missed, without a snapshot', async () => {
    await send('PUT', server.address('a'), { json: { n: 0 } })
    const proxy = await startProxy(server.url)
    cleanups.push(() => proxy.close())
    const reader = new Subscriber(server.address('a', '/events').replace(server.url, proxy.url))
    await until('the snapshot', () => reader.events.length === 1)
    proxy.cut()
    for (let n = 1; n <= 5; n++) await patch('a', [{ op: 'replace', path: '/n', value: n }])
    await until('the missed changes', () => (reader.state as { n: number }).n === 5)
    expect(reader.events.map(({ type }) => type)).toEqual(['STATE_SNAPSHOT', 'STATE_DELTA'])
    expect(reader.opened).toBe(2)
  })

  test('?version= resumes on the first request, ?path= scopes', async () => {
    const { version } = await send('PUT', server.address('a'), { json: { part: { n: 1 }, other: 1 } })
    await patch('a', [
      { op: 'replace', path: '/part/n', value: 2 },
      { op: 'replace', path: '/other', value: 2 },
    ])
    const reader = new Subscriber(server.address('a', `/events?version=${version}&path=/part`))
    reader.state = { n: 1 }
    reader.version = version
    await until('the difference', () => reader.events.length === 1)
    expect(reader.events[0]?.type).toBe('STATE_DELTA')
    expect(reader.state).toEqual({ n: 2 })
  })

  test('a version of another incarnation gives a snapshot', async () => {
    const { version } = await send('PUT', server.address('a'), { json: { n: 1 } })
    await send('DELETE', server.address('a'))
    await send('PUT', server.address('a'), { json: { n: 2 }, headers: { 'if-none-match': '*' } })
    const reader = new Subscriber(server.address('a', `/events?version=${version}`))
    await until('the snapshot', () => reader.events.length === 1)
    expect(reader.state).toEqual({ n: 2 })
  })

  test('a deleted document is told, and the client gives up', async () => {
    await send('PUT', server.address('a'), { json: {} })
    const reader = new Subscriber(server.address('a', '/events'))
    await until('the snapshot', () => reader.events.length === 1)
    await send('DELETE', server.address('a'))
    await until('the problem', () => reader.problems.length === 1)
    expect(reader.problems[0]).toMatchObject({ code: 'document-deleted', status: 410 })
    await until('the end', () => reader.source.readyState === EventSource.CLOSED)
  })
})

describe('the stream itself', () => {
  test.each([
    ['identity', undefined],
    ['gzip, deflate, br', 'gzip'],
    ['br', 'br'],
  ])('Accept-Encoding: %s, every event as soon as it is there', async (accepted, encoding) => {
    await send('PUT', server.address('a'), { json: { text: 'x'.repeat(100_000) } })
    const { response, text } = await stream(server.address('a', '/events'), { 'accept-encoding': accepted })
    expect(response.headers['content-encoding']).toBe(encoding)
    await until('the snapshot', () => text().includes('STATE_SNAPSHOT'))
    await patch('a', [{ op: 'add', path: '/n', value: 1 }])
    await until('the delta', () => text().includes('STATE_DELTA'))
    expect(text()).not.toContain('\r')
    const ids = [...text().matchAll(/^id: (.*)$/gm)].map(([, id]) => id)
    expect(ids.at(-1)).toBe((await send('GET', server.address('a'))).version)
  })

  test('a compressed stream that ends properly is a complete gzip stream', async () => {
    const short = await startServer({ limits: { feedLifetimeMs: 200 } })
    cleanups.push(() => short.close())
    await send('PUT', short.address('a'), { json: { n: 1 } })
    const { text, ended } = await stream(short.address('a', '/events'), { 'accept-encoding': 'gzip' })
    await ended
    expect(text()).toContain('STATE_SNAPSHOT')
  })

  test('headers keep proxies from holding it back', async () => {
    const { response } = await stream(server.address('a', '/events'), {})
    expect(response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    })
  })

  test('comments keep a quiet stream alive', async () => {
    const { text } = await stream(server.address('a', '/events'), {})
    await until('two comments', () => text().split(': keep-alive').length > 3)
  })

  test('a reader that does not read gets one net delta later, and costs no memory meanwhile', async () => {
    await send('PUT', server.address('a'), { json: { text: '' } })
    const patient = await startServer({ feed: { pace: { ...fastPace } } })
    cleanups.push(() => patient.close())
    await send('PUT', patient.address('a'), { json: { text: '', n: 0 } })
    const { response, text } = await stream(patient.address('a', '/events'), {
      'accept-encoding': 'identity',
    })
    await until('the snapshot', () => text().includes('STATE_SNAPSHOT'))
    response.pause()
    const rounds = 60
    for (let n = 1; n <= rounds; n++) {
      await send('PATCH', patient.address('a'), {
        patch: [
          { op: 'replace', path: '/text', value: `${n}`.padEnd(1_000_000, 'x') },
          { op: 'replace', path: '/n', value: n },
        ],
      })
    }
    const { body } = await patient.metrics.render()
    expect(body).toContain('polyphony_feed_slow_readers 1')
    response.resume()
    await until('the last change', () => text().includes(`"value":${rounds}`))
    const deltas = text().split('STATE_DELTA').length - 1
    expect(deltas).toBeLessThan(rounds / 2)
  })

  test('readers that go away at any moment leave nothing behind', async () => {
    const small = await startServer({ limits: { connectionsMax: 5 } })
    cleanups.push(() => small.close())
    await send('PUT', small.address('a'), { json: { text: 'x'.repeat(200_000) } })
    for (let round = 0; round < 60; round++) {
      const call = request(small.address('a', '/events'), {
        headers: { 'accept-encoding': round % 2 ? 'gzip' : 'br' },
      })
      call.on('error', () => undefined)
      call.on('response', (response: IncomingMessage) => response.resume())
      call.end()
      // From before the request has left to well inside the stream.
      for (let turns = 0; turns < round; turns++) await new Promise((resolve) => setImmediate(resolve))
      call.destroy()
    }
    await until('room for others', async () => {
      const { body } = await small.metrics.render()
      return body.includes('polyphony_connections{face="events"} 0')
    })
    const after = await stream(small.address('a', '/events'), {})
    expect(after.response.statusCode).toBe(200)
  })

  test('a reader that is stuck is cut off', async () => {
    const strict = await startServer({
      limits: { feedStallMs: 300 },
      keepAliveMs: 100,
      feed: { pace: { ...fastPace } },
    })
    cleanups.push(() => strict.close())
    await send('PUT', strict.address('a'), { json: { text: '' } })
    const { response, text } = await stream(strict.address('a', '/events'), { 'accept-encoding': 'identity' })
    await until('the snapshot', () => text().includes('STATE_SNAPSHOT'))
    response.pause()
    for (let n = 0; n < 20; n++) {
      await send('PUT', strict.address('a'), { json: { text: `${n}`.padEnd(1_000_000, 'x') } })
    }
    await until('the cut', async () =>
      (await strict.metrics.render()).body.includes('polyphony_connections{face="events"} 0'),
    )
  })
})

/** Flushes as fast as the reader takes it. */
const fastPace = {
  intervalMsMin: 1,
  readerBytesPerSecond: 1e12,
  totalBytesPerSecond: 1e12,
  burstMs: 1_000,
  workShare: 1,
}

interface OpenStream {
  readonly response: IncomingMessage
  /** Everything so far, decompressed. */
  readonly text: () => string
  readonly ended: Promise<void>
}

function stream(address: string, headers: Record<string, string>): Promise<OpenStream> {
  return new Promise((resolve, reject) => {
    const call = request(address, { headers }, (response) => {
      cleanups.push(() => call.destroy())
      const pieces: string[] = []
      const encoding = response.headers['content-encoding']
      const plain =
        encoding === 'gzip'
          ? response.pipe(createGunzip())
          : encoding === 'br'
            ? response.pipe(createBrotliDecompress())
            : response
      plain.on('data', (piece: Buffer) => pieces.push(piece.toString()))
      const ended = new Promise<void>((done, failed) => plain.once('end', done).once('error', failed))
      // Most tests cut the stream themselves.
      ended.catch(() => undefined)
      resolve({ response, text: () => pieces.join(''), ended })
    })
    call.on('error', reject)
    call.end()
  })
}
