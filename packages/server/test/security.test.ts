import { SignJWT } from 'jose'
import { once } from 'node:events'
import { mkdtempSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { jwtAuthorizer } from '../src/jwt.ts'
import { until } from './support/editor.ts'
import { send, startServer, type TestServer, type TestServerOptions } from './support/http.ts'
import { RawClient } from './support/raw-client.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function start(options: TestServerOptions = {}): Promise<TestServer> {
  const server = await startServer(options)
  cleanups.push(() => server.close())
  return server
}

const secret = 'a secret of thirty-two bytes or more'
function tokenFor(documents: string[], access: 'read' | 'write', expiresInMs?: number): Promise<string> {
  const token = new SignJWT({ documents, access }).setSubject('ada').setProtectedHeader({ alg: 'HS256' })
  if (expiresInMs !== undefined) token.setExpirationTime(new Date(Date.now() + expiresInMs))
  return token.sign(new TextEncoder().encode(secret))
}

describe('authorization', () => {
  const run = { threadId: 't', runId: 'r', messages: [], forwardedProps: { polyphony: { mode: 'sync' } } }
  const calls: Record<
    string,
    {
      needs: 'read' | 'write'
      call: (server: TestServer, headers: Record<string, string>) => ReturnType<typeof send>
    }
  > = {
    GET: { needs: 'read', call: (server, headers) => send('GET', server.address('notes/a'), { headers }) },
    HEAD: { needs: 'read', call: (server, headers) => send('HEAD', server.address('notes/a'), { headers }) },
    'GET updates': {
      needs: 'read',
      call: (server, headers) => send('GET', server.address('notes/a', '/updates'), { headers }),
    },
    'AG-UI': {
      needs: 'read',
      call: (server, headers) => send('POST', server.address('notes/a', '/ag-ui'), { json: run, headers }),
    },
    PUT: {
      needs: 'write',
      call: (server, headers) => send('PUT', server.address('notes/a'), { json: { n: 2 }, headers }),
    },
    PATCH: {
      needs: 'write',
      call: (server, headers) => send('PATCH', server.address('notes/a'), { patch: [], headers }),
    },
    'POST updates': {
      needs: 'write',
      call: (server, headers) =>
        send('POST', server.address('notes/a', '/updates'), {
          body: Uint8Array.of(0, 0),
          type: 'application/octet-stream',
          headers,
        }),
    },
    DELETE: {
      needs: 'write',
      call: (server, headers) => send('DELETE', server.address('notes/a'), { headers }),
    },
  }

  test.each(Object.keys(calls))('%s', async (name) => {
    const { needs, call } = calls[name]!
    const server = await start({ authorize: jwtAuthorizer({ secret }) })
    const bearer = async (documents: string[], access: 'read' | 'write') => ({
      authorization: `Bearer ${await tokenFor(documents, access)}`,
    })
    await send('PUT', server.address('notes/a'), { json: { n: 1 }, headers: await bearer(['**'], 'write') })
    const none = await call(server, {})
    expect(none.status).toBe(401)
    expect(none.headers.get('www-authenticate')).toBe('Bearer')
    expect((await call(server, { authorization: 'Bearer nonsense' })).status).toBe(401)
    expect(
      (await call(server, { authorization: `Basic ${Buffer.from('a:b').toString('base64')}` })).status,
    ).toBe(401)
    expect((await call(server, await bearer(['other/*'], 'write'))).status).toBe(403)
    expect((await call(server, await bearer(['notes/*'], 'read'))).status).toBe(needs === 'read' ? 200 : 403)
    expect((await call(server, await bearer(['notes/*'], 'write'))).status).toBe(
      name === 'DELETE' ? 204 : 200,
    )
  })

  test('the list shows what the token grants', async () => {
    const server = await start({ authorize: jwtAuthorizer({ secret }) })
    const all = { authorization: `Bearer ${await tokenFor(['**'], 'write')}` }
    for (const id of ['notes/a', 'notes/b', 'private'])
      await send('PUT', server.address(id), { json: {}, headers: all })
    const some = { authorization: `Bearer ${await tokenFor(['notes/*'], 'read')}` }
    const { body } = await send('GET', `${server.url}/v1/documents`, { headers: some })
    expect((body as { documents: { id: string }[] }).documents.map(({ id }) => id)).toEqual([
      'notes/a',
      'notes/b',
    ])
    expect((await send('GET', `${server.url}/v1/documents`)).status).toBe(401)
  })

  test('a reader may watch, but its own changes are refused', async () => {
    const server = await start({ authorize: jwtAuthorizer({ secret }) })
    const all = { authorization: `Bearer ${await tokenFor(['**'], 'write')}` }
    const { version } = await send('PUT', server.address('a'), { json: { n: 1 }, headers: all })
    const reader = { authorization: `Bearer ${await tokenFor(['**'], 'read')}` }
    const proposal = (state: unknown) => ({
      ...run,
      state,
      forwardedProps: { polyphony: { mode: 'sync', version } },
    })
    const same = await send('POST', server.address('a', '/ag-ui'), {
      json: proposal({ n: 1 }),
      headers: reader,
    })
    expect(same.status).toBe(200)
    const changed = await send('POST', server.address('a', '/ag-ui'), {
      json: proposal({ n: 2 }),
      headers: reader,
    })
    expect(changed).toMatchObject({ status: 403, body: { code: 'forbidden' } })
  })

  test('a token in the address counts for events and WebSockets only, and is never logged', async () => {
    const server = await start({ authorize: jwtAuthorizer({ secret }) })
    const token = await tokenFor(['**'], 'write')
    await send('PUT', server.address('a'), { json: {}, headers: { authorization: `Bearer ${token}` } })
    expect((await send('GET', server.address('a', `?token=${token}`))).status).toBe(401)
    const abort = new AbortController()
    cleanups.push(() => abort.abort())
    const events = await fetch(server.address('a', `/events?token=${token}`), { signal: abort.signal })
    expect(events.status).toBe(200)
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/sync/a?token=${token}`)
    cleanups.push(() => socket.terminate())
    await once(socket, 'message')
    expect((await send('GET', server.address('missing', `/events?token=wrong${token}`))).status).toBe(401)
    expect(server.logs.length).toBeGreaterThan(0)
    expect(server.logs.filter((line) => line.includes(token.slice(-20)))).toEqual([])
  })

  test('a WebSocket without a token is told by its close code', async () => {
    const server = await start({ authorize: jwtAuthorizer({ secret }) })
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/sync/a`)
    const [code] = (await once(socket, 'close')) as [number]
    expect(code).toBe(4401)
  })

  test('a feed ends when its token does', async () => {
    const server = await start({ authorize: jwtAuthorizer({ secret, clockToleranceMs: 0 }) })
    const token = await tokenFor(['**'], 'read', 2_000)
    const response = await fetch(server.address('a', '/events'), {
      headers: { authorization: `Bearer ${token}` },
    })
    expect(response.status).toBe(200)
    expect(await response.text()).toContain('"code":"unauthorized"')
  })

  test('a WebSocket session ends when its token does', async () => {
    const server = await start({ authorize: jwtAuthorizer({ secret, clockToleranceMs: 0 }) })
    const token = await tokenFor(['**'], 'read', 2_000)
    const client = await RawClient.connect(server.url, `/sync/a?token=${token}`)
    await client.received('the first step 1', () => client.sync(0).length === 1)
    await client.received('to be closed', () => client.closed !== undefined)
    expect(client.closed).toEqual({ code: 4401, reason: 'unauthorized' })
  })

  test('what a hook throws by mistake is no way in', async () => {
    const server = await start({
      authorize: () => {
        throw new Error('database password is hunter2')
      },
    })
    const answer = await send('GET', server.address('a'))
    expect(answer).toMatchObject({ status: 500, body: { code: 'internal' } })
    expect(JSON.stringify(answer.body)).not.toContain('hunter2')
  })
})

describe('hosts and origins', () => {
  const withHost = (server: TestServer, host: string, path = '/v1/documents'): Promise<number> =>
    new Promise((resolve, reject) => {
      request(`${server.url}${path}`, { headers: { host } }, (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      })
        .on('error', reject)
        .end()
    })

  test('without a secret only names of this machine are answered, so that no name can be rebound to it', async () => {
    const server = await start()
    for (const host of ['localhost', 'localhost:4400', '127.0.0.1:1', '[::1]:80', 'app.localhost'])
      expect(await withHost(server, host)).toBe(200)
    for (const host of [
      'evil.example',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      '127.evil.example',
      '10.0.0.1',
    ])
      for (const path of ['/v1/documents', '/healthz', '/metrics'])
        expect(await withHost(server, host, path)).toBe(403)
  })

  test('names can be listed', async () => {
    const server = await start({ hosts: ['sync.example'] })
    expect(await withHost(server, 'SYNC.example:443')).toBe(200)
    expect(await withHost(server, 'localhost')).toBe(403)
  })

  test('pages of other sites change nothing, unless their origin is listed', async () => {
    const server = await start({ origins: ['https://app.example'] })
    const own = server.url
    const put = (origin: string) => send('PUT', server.address('a'), { json: {}, headers: { origin } })
    expect((await put(own)).status).toBe(200)
    expect((await put('https://app.example')).status).toBe(200)
    for (const origin of [
      'https://evil.example',
      'http://app.example',
      'https://app.example.evil.example',
      'null',
    ])
      expect(await put(origin)).toMatchObject({ status: 403, body: { code: 'origin-refused' } })
    const listed = await send('GET', server.address('a'), { headers: { origin: 'https://app.example' } })
    expect(listed.headers.get('access-control-allow-origin')).toBe('https://app.example')
    expect(listed.headers.get('access-control-expose-headers')).toContain('Polyphony-Version')
    expect(listed.headers.get('vary')).toContain('Origin')
    const other = await send('GET', server.address('a'), { headers: { origin: 'https://evil.example' } })
    expect(other.headers.get('access-control-allow-origin')).toBeNull()
  })

  test('preflight requests are answered without a token', async () => {
    const server = await start({ origins: ['https://app.example'], authorize: jwtAuthorizer({ secret }) })
    const preflight = await send('OPTIONS', server.address('a'), {
      headers: { origin: 'https://app.example', 'access-control-request-method': 'PATCH' },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-methods')).toContain('PATCH')
    expect(preflight.headers.get('access-control-allow-headers')).toContain('Polyphony-Anchor')
    expect(preflight.headers.get('allow')).toBe('GET, PUT, PATCH, DELETE, HEAD, OPTIONS')
    const refused = await send('OPTIONS', server.address('a'), {
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'PATCH' },
    })
    expect(refused.headers.get('access-control-allow-methods')).toBeNull()
  })

  test('any origin, when the operator says so', async () => {
    const server = await start({ origins: ['*'] })
    const answer = await send('PUT', server.address('a'), {
      json: {},
      headers: { origin: 'https://any.example' },
    })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
  })

  test('what is no origin is refused at the start', async () => {
    for (const origin of ['app.example', 'https://app.example/path', 'null'])
      await expect(startServer({ origins: [origin] })).rejects.toThrow(TypeError)
  })

  test('a WebSocket from a page of another site is not opened', async () => {
    const server = await start({ origins: ['https://app.example'] })
    const open = (origin: string): Promise<string> =>
      new Promise((resolve) => {
        const socket = new WebSocket(`${server.url.replace('http', 'ws')}/sync/a`, { origin })
        cleanups.push(() => socket.terminate())
        socket.once('open', () => resolve('open'))
        socket.once('error', (error) => resolve(error.message))
      })
    expect(await open('https://app.example')).toBe('open')
    expect(await open(server.url)).toBe('open')
    expect(await open('https://evil.example')).toContain('403')
  })
})

describe('requests of every wrong kind', () => {
  const wrong: [string, number, string, string, string, Parameters<typeof send>[2]?][] = [
    ['an unknown address', 404, 'route-not-found', 'GET', '/nothing'],
    ['an unknown address below a document', 404, 'route-not-found', 'GET', '/v1/documents/a/nothing'],
    ['a name of Object', 404, 'route-not-found', 'GET', '/v1/documents/a/constructor'],
    ['a slash too many', 404, 'route-not-found', 'GET', '/v1/documents/'],
    ['a wrong method', 405, 'method-not-allowed', 'POST', '/v1/documents/a'],
    ['a wrong method on a feed', 405, 'method-not-allowed', 'PUT', '/v1/documents/a/ag-ui'],
    ['a wrong method for health', 405, 'method-not-allowed', 'POST', '/healthz'],
    ['a missing document', 404, 'document-not-found', 'GET', '/v1/documents/a'],
    ['broken percent-encoding', 400, 'invalid-document-id', 'GET', '/v1/documents/%E0%A4%A'],
    ['a control character in an id', 400, 'invalid-document-id', 'GET', '/v1/documents/a%00b'],
    ['an id that is too long', 400, 'invalid-document-id', 'GET', `/v1/documents/${'x'.repeat(513)}`],
    ['a pointer that is none', 400, 'invalid-request', 'GET', '/v1/documents/exists?path=a'],
    ['a version that is none', 400, 'invalid-token', 'GET', '/v1/documents/exists?at=1'],
    ['a limit that is none', 400, 'invalid-request', 'GET', '/v1/documents?limit=0'],
    [
      'no media type',
      415,
      'unsupported-media-type',
      'PATCH',
      '/v1/documents/a',
      { body: '[]', type: 'text/plain' },
    ],
    [
      'a compressed body',
      415,
      'unsupported-media-type',
      'PUT',
      '/v1/documents/a',
      { json: {}, headers: { 'content-encoding': 'gzip' } },
    ],
    [
      'no JSON',
      400,
      'invalid-request',
      'PUT',
      '/v1/documents/a',
      { body: '{"a":', type: 'application/json' },
    ],
    ['no body', 400, 'invalid-request', 'PUT', '/v1/documents/a', { body: '', type: 'application/json' }],
    ['a patch that is no list', 422, 'invalid-patch', 'PATCH', '/v1/documents/a', { patch: { patch: {} } }],
    [
      'an unknown member',
      400,
      'invalid-request',
      'PATCH',
      '/v1/documents/a',
      { patch: { patch: [], ops: [] } },
    ],
    ['an unknown policy', 400, 'invalid-request', 'PATCH', '/v1/documents/a?policy=fast', { patch: [] }],
    ['a path beside a patch', 400, 'invalid-request', 'PATCH', '/v1/documents/a?path=/x', { patch: [] }],
    [
      'an unknown operation',
      422,
      'invalid-patch',
      'PATCH',
      '/v1/documents/a',
      { patch: [{ op: 'set', path: '/a' }] },
    ],
    [
      'an operation without a value',
      422,
      'invalid-patch',
      'PATCH',
      '/v1/documents/a',
      { patch: [{ op: 'add', path: '/a' }] },
    ],
    [
      'a path that is not there',
      422,
      'invalid-patch',
      'PATCH',
      '/v1/documents/exists',
      { patch: [{ op: 'remove', path: '/x' }] },
    ],
    [
      'a test that fails',
      409,
      'test-failed',
      'PATCH',
      '/v1/documents/exists',
      { patch: [{ op: 'test', path: '/n', value: 2 }] },
    ],
    [
      'anchors that differ',
      400,
      'invalid-request',
      'PATCH',
      '/v1/documents/a',
      { patch: { patch: [], at: 'a.1' }, headers: { 'polyphony-anchor': 'a.2' } },
    ],
    [
      'an ETag without quotes',
      400,
      'invalid-request',
      'PUT',
      '/v1/documents/exists',
      { json: {}, headers: { 'if-match': 'abc' } },
    ],
    [
      'a key with spaces',
      400,
      'invalid-request',
      'PATCH',
      '/v1/documents/a',
      { patch: [], headers: { 'idempotency-key': 'a b' } },
    ],
    [
      'JSON that is too deep',
      422,
      'invalid-value',
      'PUT',
      '/v1/documents/a',
      { body: `${'['.repeat(5_000)}${']'.repeat(5_000)}`, type: 'application/json' },
    ],
    [
      'a member that clients cannot follow',
      422,
      'invalid-value',
      'PUT',
      '/v1/documents/a',
      { body: '{"__proto__":1}', type: 'application/json' },
    ],
    [
      'a body that is too large',
      413,
      'body-too-large',
      'PUT',
      '/v1/documents/a',
      { json: 'x'.repeat(30_000) },
    ],
    [
      'a patch of too many operations',
      413,
      'patch-too-large',
      'PATCH',
      '/v1/documents/a',
      { patch: Array.from({ length: 30 }, () => ({ op: 'test', path: '', value: {} })) },
    ],
    [
      'a string that is too long',
      422,
      'invalid-value',
      'PUT',
      '/v1/documents/a',
      { json: { s: 'x'.repeat(6_000) } },
    ],
  ]
  test.each(wrong)('%s: %i %s', async (_, status, code, method, path, options) => {
    const server = await start({
      limits: { bodyBytesMax: 20_000, patchOperationsMax: 20, stringLengthMax: 5_000 },
    })
    await send('PUT', server.address('exists'), { json: { n: 1 } })
    const answer = await send(method, `${server.url}${path}`, options)
    expect(answer).toMatchObject({ status, body: { status, code, type: `urn:polyphony:problem:${code}` } })
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    if (status === 405) expect(answer.headers.get('allow')).toContain('OPTIONS')
    expect((await send('GET', server.address('exists'))).body).toEqual({ n: 1 })
    expect((await send('GET', server.address('a'))).status).toBe(404)
  })

  test('a body that turns out too large on the way', async () => {
    const server = await start({ limits: { bodyBytesMax: 1_000 } })
    const body = new ReadableStream({
      start(controller) {
        for (let index = 0; index < 50; index++) controller.enqueue(new TextEncoder().encode('x'.repeat(100)))
        controller.close()
      },
    })
    const response = await fetch(server.address('a'), {
      method: 'PUT',
      body,
      duplex: 'half',
      headers: { 'content-type': 'application/json' },
    } as RequestInit)
    expect(response.status).toBe(413)
  })

  test('a failing operation leaves nothing behind', async () => {
    const server = await start()
    await send('PUT', server.address('a'), { json: { list: [1] } })
    const answer = await send('PATCH', server.address('a'), {
      patch: [
        { op: 'add', path: '/list/-', value: 2 },
        { op: 'add', path: '/list/9', value: 3 },
      ],
    })
    expect(answer).toMatchObject({ status: 422, body: { index: 1, documentId: 'a' } })
    expect((await send('GET', server.address('a'))).body).toEqual({ list: [1] })
  })

  test('a client that goes away in the middle of its request does no harm', async () => {
    const server = await start()
    const { port, hostname } = new URL(server.url)
    for (let index = 0; index < 20; index++) {
      const socket = connect({ port: Number(port), host: hostname })
      await once(socket, 'connect')
      socket.write(
        `PUT /v1/documents/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"n":`,
      )
      await new Promise((resolve) => setImmediate(resolve))
      socket.resetAndDestroy()
    }
    expect((await send('GET', server.address('a'))).status).toBe(404)
    expect(server.logs.filter((line) => line.includes('request failed'))).toEqual([])
  })

  test('bytes that are not HTTP get an answer and are let go', async () => {
    const server = await start()
    const { port, hostname } = new URL(server.url)
    const socket = connect({ port: Number(port), host: hostname })
    socket.write('\x16\x03\x01nonsense\r\n\r\n')
    let answer = ''
    socket.on('data', (piece: Buffer) => (answer += piece.toString()))
    await once(socket, 'close')
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain('"code":"invalid-request"')
  })

  test('a client that offers HTTP/2 is answered in HTTP/1.1', async () => {
    const server = await start()
    const { port, hostname } = new URL(server.url)
    const socket = connect({ port: Number(port), host: hostname })
    const offer =
      'Host: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAA\r\n'
    socket.write(
      `PUT /v1/documents/a HTTP/1.1\r\n${offer}Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{"n":`,
    )
    let answer = ''
    socket.on('data', (piece: Buffer) => (answer += piece.toString()))
    await new Promise((resolve) => setTimeout(resolve, 20))
    socket.write('12}\n')
    await until('the first answer', () => answer.includes('"version"'))
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    answer = ''
    socket.write(`GET /v1/documents/a HTTP/1.1\r\n${offer}\r\n`)
    await until('the second answer', () => answer.includes('{"n":12}'))
    socket.destroy()
  })

  test('connections are limited, by node and by document', async () => {
    const server = await start({ limits: { connectionsMax: 3, documentConnectionsMax: 2 } })
    const abort = new AbortController()
    cleanups.push(() => abort.abort())
    const open = async (documentId: string): Promise<number> =>
      (await fetch(server.address(documentId, '/events'), { signal: abort.signal })).status
    expect([await open('a'), await open('a')]).toEqual([200, 200])
    expect(await open('a')).toBe(429)
    expect(await open('b')).toBe(200)
    expect(await open('c')).toBe(429)
    abort.abort()
    const again = new AbortController()
    cleanups.push(() => again.abort())
    await until(
      'room again',
      async () => (await fetch(server.address('c', '/events'), { signal: again.signal })).status === 200,
    )
  })
})

describe('the static site', () => {
  function site(): string {
    const root = mkdtempSync(join(tmpdir(), 'polyphony-site-'))
    cleanups.push(() => rmSync(root, { recursive: true }))
    mkdirSync(join(root, 'public', 'assets'), { recursive: true })
    writeFileSync(join(root, 'secret.txt'), 'secret')
    writeFileSync(join(root, 'public', 'index.html'), '<!doctype html><title>Hello</title>')
    writeFileSync(join(root, 'public', '.env'), 'secret')
    writeFileSync(join(root, 'public', 'assets', 'app-B2x9_kQ1.js'), `/* ${'x'.repeat(5_000)} */`)
    symlinkSync(join(root, 'secret.txt'), join(root, 'public', 'link.txt'))
    return join(root, 'public')
  }

  test('serves its files with types, caching and a policy', async () => {
    const server = await start({ site: site() })
    const index = await send('GET', `${server.url}/`)
    expect(index).toMatchObject({ status: 200, body: '<!doctype html><title>Hello</title>' })
    expect(index.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(index.headers.get('cache-control')).toBe('no-cache')
    expect(index.headers.get('content-security-policy')).toContain("default-src 'self'")
    expect(index.headers.get('x-content-type-options')).toBe('nosniff')
    const script = await send('GET', `${server.url}/assets/app-B2x9_kQ1.js`)
    expect(script.headers.get('cache-control')).toContain('immutable')
    expect(script.body).toHaveLength(5_006)
    const etag = index.headers.get('etag')!
    expect((await send('GET', `${server.url}/`, { headers: { 'if-none-match': etag } })).status).toBe(304)
    expect((await send('HEAD', `${server.url}/`)).status).toBe(200)
    expect((await send('POST', `${server.url}/`)).status).toBe(404)
  })

  test.each([
    '/../secret.txt',
    '/..%2fsecret.txt',
    '/%2e%2e/secret.txt',
    '/assets/../../secret.txt',
    '/.env',
    '/link.txt',
    '/assets',
    '/a%00.html',
    '/..%5csecret.txt',
    '/%',
    '//secret.txt',
  ])('%s leads nowhere', async (path) => {
    const server = await start({ site: site() })
    const { port, hostname } = new URL(server.url)
    const socket = connect({ port: Number(port), host: hostname })
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
    let answer = ''
    socket.on('data', (piece: Buffer) => (answer += piece.toString()))
    await once(socket, 'close')
    expect(answer).toMatch(/^HTTP\/1\.1 404 /)
    expect(answer).not.toContain('secret\n')
  })
})

describe('for whoever operates it', () => {
  test('health, readiness and metrics', async () => {
    const server = await start()
    expect(await send('GET', `${server.url}/healthz`)).toMatchObject({ status: 200, body: { status: 'ok' } })
    expect(await send('GET', `${server.url}/readyz`)).toMatchObject({ status: 200, body: { status: 'ok' } })
    await send('PUT', server.address('a'), { json: { n: 1 } })
    await send('GET', server.address('missing'))
    const { body, headers } = await send('GET', `${server.url}/metrics`)
    expect(headers.get('content-type')).toContain('text/plain')
    expect(body).toContain(
      'polyphony_http_requests_total{route="/v1/documents/{id}",method="PUT",status="200"} 1',
    )
    expect(body).toContain(
      'polyphony_http_requests_total{route="/v1/documents/{id}",method="GET",status="404"} 1',
    )
    expect(body).toContain('polyphony_errors_total{face="http",code="document-not-found"} 1')
    expect(body).toContain('\npolyphony_ready 1\n')
  })

  test('a store that does not answer makes it unready', async () => {
    const failing = await start({ checkReady: () => Promise.reject(new Error('no')) })
    expect(await send('GET', `${failing.url}/readyz`)).toMatchObject({
      status: 503,
      body: { reason: 'store-failed' },
    })
    expect((await send('GET', `${failing.url}/healthz`)).status).toBe(200)
    const hanging = await start({ checkReady: () => new Promise(() => undefined) })
    expect((await send('GET', `${hanging.url}/readyz`)).status).toBe(503)
  })

  test('the metrics say what /readyz says', async () => {
    let broken = false
    const checkReady = async (): Promise<void> => {
      if (broken) throw new Error('no')
    }
    const server = await start({ checkReady })
    for (const ready of [1, 0, 1]) {
      broken = ready === 0
      expect((await send('GET', `${server.url}/metrics`)).body).toContain(`\npolyphony_ready ${ready}\n`)
    }
  })

  test('closing lets requests finish, ends feeds, and refuses newcomers', async () => {
    const server = await startServer()
    const events = await fetch(server.address('a', '/events'))
    const written = send('PUT', server.address('a'), { json: { n: 1 } })
    await written
    await server.http.close(2_000)
    expect(await events.text()).toContain('"code":"shutting-down"')
    await expect(fetch(server.address('a'))).rejects.toThrow()
    await server.http.close(2_000)
    await server.close()
  })
})
