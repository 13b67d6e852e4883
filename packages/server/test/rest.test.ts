import { MemoryStore } from '@polyphony/storage'
import { gunzipSync, brotliDecompressSync } from 'node:zlib'
import { request } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import { until } from './support/editor.ts'
import { GatedStore } from './support/gated-store.ts'
import { send, startServer, type Answer, type TestServer } from './support/http.ts'

let server: TestServer
let gate: GatedStore
beforeEach(async () => {
  gate = new GatedStore(new MemoryStore())
  server = await startServer({ store: gate.store })
})
afterEach(() => server.close())

const put = (documentId: string, json: unknown, headers = {}, query = ''): Promise<Answer> =>
  send('PUT', server.address(documentId, query), { json, headers })
const get = (documentId: string, query = '', headers = {}): Promise<Answer> =>
  send('GET', server.address(documentId, query), { headers })
const patch = (documentId: string, operations: unknown, headers = {}, query = ''): Promise<Answer> =>
  send('PATCH', server.address(documentId, query), { patch: operations, headers })

describe('reading', () => {
  test('the body is the state, and the version is its ETag', async () => {
    const written = await put('a', { title: 'Plan', list: [1, 2, { x: null }] })
    expect(written.status).toBe(200)
    const read = await get('a')
    expect(read.status).toBe(200)
    expect(read.body).toEqual({ title: 'Plan', list: [1, 2, { x: null }] })
    expect(read.headers.get('content-type')).toBe('application/json')
    expect(read.headers.get('etag')).toBe(`"${read.version}"`)
    expect(read.version).toBe(written.version)
    expect(read.version).toMatch(/^[\w-]+\.1$/)
  })

  test('If-None-Match answers 304 until something changes', async () => {
    const { version } = await put('a', { n: 1 })
    const same = await get('a', '', { 'if-none-match': `"${version}"` })
    expect(same.status).toBe(304)
    expect(same.headers.get('etag')).toBe(`"${version}"`)
    expect((await get('a', '', { 'if-none-match': `W/"${version}", "other"` })).status).toBe(304)
    await patch('a', [{ op: 'replace', path: '/n', value: 2 }])
    expect((await get('a', '', { 'if-none-match': `"${version}"` })).status).toBe(200)
  })

  test('HEAD says the same without the body', async () => {
    const { version } = await put('a', { n: 1 })
    const head = await send('HEAD', server.address('a'))
    expect(head).toMatchObject({ status: 200, body: '', version })
    expect((await send('HEAD', server.address('a', '?path=/nowhere'))).status).toBe(404)
    expect((await send('HEAD', server.address('missing'))).status).toBe(404)
  })

  test('a part, now and as it was', async () => {
    const { version } = await put('a', { list: ['x', { 'k/~': 1 }] })
    await patch('a', [{ op: 'add', path: '/list/0', value: 'new' }])
    expect((await get('a', '?path=/list/1')).body).toBe('x')
    expect((await get('a', `?path=${encodeURIComponent('/list/2/k~1~0')}`)).body).toBe(1)
    const before = await get('a', `?path=/list&at=${version}`)
    expect(before.body).toEqual(['x', { 'k/~': 1 }])
    expect(before.version).toBe(version)
    expect(await get('a', '?path=/list/9')).toMatchObject({
      status: 404,
      body: { code: 'pointer-not-found' },
    })
  })

  test('large answers come compressed when asked for, and are the same', async () => {
    const state = { rows: Array.from({ length: 20_000 }, (_, id) => ({ id, text: `row number ${id}` })) }
    await put('a', state)
    const sizes: Record<string, number> = {}
    for (const encoding of ['identity', 'gzip', 'br']) {
      const { body, headers } = await raw(server.address('a'), { 'accept-encoding': encoding })
      expect(headers['content-encoding']).toBe(encoding === 'identity' ? undefined : encoding)
      expect(headers.vary).toContain('Accept-Encoding')
      sizes[encoding] = body.byteLength
      const plain =
        encoding === 'gzip' ? gunzipSync(body) : encoding === 'br' ? brotliDecompressSync(body) : body
      expect(JSON.parse(plain.toString())).toEqual(state)
    }
    expect(sizes['gzip']).toBeLessThan(sizes['identity']! / 3)
    expect(sizes['br']).toBeLessThan(sizes['identity']! / 3)
  })

  test('ids are decoded once, whatever is in them', async () => {
    for (const id of ['a/b', '...', 'ü 😀', 'a%2Fb', 'events', 'x?y#z', 'a+b']) {
      await put(id, { id })
      expect((await get(id)).body).toEqual({ id })
    }
    const { body } = await send('GET', `${server.url}/v1/documents`)
    expect((body as { documents: { id: string }[] }).documents.map(({ id }) => id)).toEqual(
      ['a/b', '...', 'ü 😀', 'a%2Fb', 'events', 'x?y#z', 'a+b'].toSorted((a, b) =>
        Buffer.compare(Buffer.from(a), Buffer.from(b)),
      ),
    )
  })
})

describe('listing', () => {
  test('by prefix, in pages', async () => {
    for (const id of ['n/1', 'n/2', 'n/3', 'o/1']) await put(id, {})
    expect(await get('n/1')).toMatchObject({ status: 200, body: {} })
    const list = async (
      query: string,
    ): Promise<{ documents: { id: string; version: string; bytes: number }[]; next?: string }> =>
      (await send('GET', `${server.url}/v1/documents${query}`)).body as never
    const first = await list('?prefix=n/&limit=2')
    expect(first.documents.map(({ id }) => id)).toEqual(['n/1', 'n/2'])
    expect(first.documents[0]?.version).toBe((await get('n/1')).version)
    const rest = await list(`?prefix=n/&limit=2&after=${encodeURIComponent(first.next!)}`)
    expect(rest.documents.map(({ id }) => id)).toEqual(['n/3'])
    expect(rest.next).toBeUndefined()
  })
})

describe('PUT', () => {
  test('without a version it makes the state what the body says, touching only what differs', async () => {
    await put('a', { keep: { deep: [1, 2, 3] }, drop: 1, change: 'x' })
    const doc = await replica('a')
    const kept = doc.getMap('state').get('keep')
    const written = await put('a', { keep: { deep: [1, 2, 3, 4] }, change: 'y' })
    expect(written.status).toBe(200)
    expect((await get('a')).body).toEqual({ keep: { deep: [1, 2, 3, 4] }, change: 'y' })
    await pull('a', doc)
    expect(doc.getMap('state').get('keep')).toBe(kept)
  })

  test('with If-Match only what the author changed is changed', async () => {
    const { version } = await put('a', { title: 'old', list: ['a', 'b'] })
    await patch('a', [
      { op: 'add', path: '/theirs', value: true },
      { op: 'add', path: '/list/0', value: 'first' },
    ])
    const written = await put('a', { title: 'new', list: ['a', 'b', 'c'] }, { 'if-match': `"${version}"` })
    expect(written).toMatchObject({ status: 200, body: { conflicts: [] } })
    expect((await get('a')).body).toEqual({ title: 'new', theirs: true, list: ['first', 'a', 'b', 'c'] })
  })

  test('at a path, which may be new', async () => {
    await put('a', { list: [{ done: false }], other: 1 })
    await put('a', true, {}, '?path=/list/0/done')
    await put('a', { nested: ['x'] }, {}, '?path=/fresh')
    expect((await get('a')).body).toEqual({ list: [{ done: true }], other: 1, fresh: { nested: ['x'] } })
    expect((await put('a', 1, {}, '?path=/no/parent')).status).toBe(422)
  })

  test('If-None-Match: * only creates, and If-Match only changes what is there', async () => {
    expect((await put('a', { n: 1 }, { 'if-none-match': '*' })).status).toBe(200)
    expect(await put('a', { n: 2 }, { 'if-none-match': '*' })).toMatchObject({
      status: 412,
      body: { code: 'precondition-failed' },
    })
    expect((await put('b', {}, { 'if-match': '*' })).status).toBe(412)
    expect((await get('b')).status).toBe(404)
    expect((await put('a', { n: 3 }, { 'if-match': '*' })).status).toBe(200)
    expect((await get('a')).body).toEqual({ n: 3 })
  })

  test('a version that is not of this document fails the precondition', async () => {
    await put('a', { n: 1 })
    const { version: other } = await put('b', { n: 1 })
    expect(await put('a', {}, { 'if-match': `"${other}"` })).toMatchObject({
      status: 412,
      body: { code: 'precondition-failed', documentId: 'a' },
    })
  })
})

describe('PATCH', () => {
  test('splices of strings, for those who say so', async () => {
    const { version } = await put('a', { text: 'one two 😀' })
    await patch('a', [{ op: 'replace', path: '/text', value: 'zero one two 😀' }])
    const splice = { op: 'splice', path: '/text', index: 4, remove: 3, insert: '2' }
    const sendSplice = (type: string, operation: unknown) =>
      send('PATCH', server.address('a'), {
        type,
        body: JSON.stringify([operation]),
        headers: { 'polyphony-anchor': version },
      })
    const spliceType = 'application/vnd.polyphony.patch+json'
    expect(await sendSplice('application/json-patch+json', splice)).toMatchObject({ status: 422 })
    expect(await sendSplice(spliceType, { ...splice, index: 9, remove: 0 })).toMatchObject({
      status: 422,
      body: { code: 'invalid-patch', index: 0 },
    })
    expect(await sendSplice(spliceType, splice)).toMatchObject({ status: 200 })
    expect((await send('GET', server.address('a'))).body).toEqual({ text: 'one 2 😀' })
  })

  test('tells when there was nothing to do', async () => {
    await put('a', { n: 1 })
    const again = await patch('a', [{ op: 'replace', path: '/n', value: 1 }])
    expect(again.body).toMatchObject({ applied: 1, changed: false })
  })

  test('a JSON Patch creates, changes and tells the version', async () => {
    const first = await patch('a', [{ op: 'add', path: '/list', value: [] }])
    expect(first).toMatchObject({ status: 200, body: { applied: 1, conflicts: [], version: first.version } })
    const second = await patch('a', [
      { op: 'add', path: '/list/-', value: 1 },
      { op: 'test', path: '/list/0', value: 1 },
      { op: 'copy', from: '/list/0', path: '/list/-' },
    ])
    expect(second.status).toBe(200)
    const read = await get('a')
    expect(read.body).toEqual({ list: [1, 1] })
    expect(read.version).toBe(second.version)
  })

  test('what changes nothing writes nothing', async () => {
    const { version } = await put('a', { n: 1 })
    expect((await patch('a', [{ op: 'replace', path: '/n', value: 1 }])).version).toBe(version)
    expect((await patch('a', [])).version).toBe(version)
    expect((await put('a', { n: 1 })).version).toBe(version)
  })

  test('an anchored patch means the elements that its author saw', async () => {
    const { version } = await put('a', { list: ['x', 'y', 'z'] })
    await patch('a', [
      { op: 'remove', path: '/list/0' },
      { op: 'add', path: '/list/-', value: 'end' },
    ])
    const third = [{ op: 'replace', path: '/list/2', value: 'Z' }]
    const anchored = await patch('a', third, { 'polyphony-anchor': version })
    expect(anchored).toMatchObject({ status: 200, body: { applied: 1, conflicts: [] } })
    expect((await get('a')).body).toEqual({ list: ['y', 'Z', 'end'] })
    const inBody = await patch('a', { patch: [{ op: 'remove', path: '/list/1' }], at: version })
    expect(inBody.status).toBe(200)
    expect((await get('a')).body).toEqual({ list: ['Z', 'end'] })
  })

  test('an author that hears of nobody goes on from what its own patches answered', async () => {
    const start = await put('a', { list: ['x'] })
    await patch('a', [{ op: 'add', path: '/list/0', value: 'theirs' }])
    let { version } = start
    for (let index = 1; index <= 5; index++) {
      const answer = await patch('a', [{ op: 'add', path: `/list/${index}`, value: index }], {
        'polyphony-anchor': version,
      })
      expect(answer.status).toBe(200)
      version = answer.version
      if (index === 3) await patch('a', [{ op: 'add', path: '/list/0', value: 'more of theirs' }])
    }
    expect((await get('a')).body).toEqual({ list: ['more of theirs', 'theirs', 'x', 1, 2, 3, 4, 5] })
  })

  test('what no longer exists is reported, or refused when strict', async () => {
    const { version } = await put('a', { list: ['x', 'y'], n: 1 })
    await patch('a', [{ op: 'remove', path: '/list/0' }])
    const stale = [
      { op: 'replace', path: '/list/0', value: 'X' },
      { op: 'replace', path: '/n', value: 2 },
    ]
    const strict = await patch('a', { patch: stale, at: version, policy: 'strict' })
    expect(strict).toMatchObject({ status: 409, body: { code: 'conflict', index: 0 } })
    expect((await get('a')).body).toEqual({ list: ['y'], n: 1 })
    const merged = await patch('a', stale, { 'polyphony-anchor': version })
    expect(merged).toMatchObject({
      status: 200,
      body: { applied: 1, conflicts: [{ index: 0, op: 'replace', reason: 'target-deleted' }] },
    })
    expect((await get('a')).body).toEqual({ list: ['y'], n: 2 })
    expect((await patch('a', stale, { 'polyphony-anchor': version }, '?policy=strict')).status).toBe(409)
  })

  test('If-Match is a strict compare-and-set', async () => {
    const { version } = await put('a', { n: 0 })
    const increment = [{ op: 'replace', path: '/n', value: 1 }]
    expect((await patch('a', increment, { 'if-match': `"${version}"` })).status).toBe(200)
    const late = await patch('a', increment, { 'if-match': `"${version}"` })
    expect(late).toMatchObject({ status: 412, body: { code: 'precondition-failed' } })
    expect((await patch('missing', increment, { 'if-match': '*' })).status).toBe(412)
  })

  test('of many compare-and-sets at once exactly one wins, round after round', async () => {
    await put('a', { n: 0 })
    for (let round = 1; round <= 5; round++) {
      const { version } = await get('a')
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          patch(
            'a',
            [
              { op: 'add', path: `/by${index}`, value: round },
              { op: 'replace', path: '/n', value: round },
            ],
            {
              'if-match': `"${version}"`,
            },
          ),
        ),
      )
      expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
        200,
        ...Array<number>(19).fill(412),
      ])
    }
    const { body, version } = await get('a')
    expect(Object.keys(body as object).length).toBeLessThanOrEqual(6)
    expect(version).toMatch(/\.6$/)
  })

  test('a compare-and-set fails while somebody else is being stored', async () => {
    const { version } = await put('a', { n: 0 })
    gate.hold()
    const theirs = patch('a', [{ op: 'add', path: '/theirs', value: 1 }])
    await until('their edit to be on its way', () => gate.appends.length === 2)
    const ours = patch('a', [{ op: 'replace', path: '/n', value: 1 }], { 'if-match': `"${version}"` })
    gate.release()
    expect((await theirs).status).toBe(200)
    expect((await ours).status).toBe(412)
  })

  test('a merge patch', async () => {
    await put('a', { title: 'x', author: { given: 'J', family: 'D' }, tags: ['a'] })
    const answer = await send('PATCH', server.address('a'), {
      body: JSON.stringify({
        title: 'y',
        author: { family: null },
        missing: null,
        tags: ['b'],
        fresh: { a: null, b: 1 },
      }),
      type: 'application/merge-patch+json',
    })
    expect(answer.status).toBe(200)
    expect((await get('a')).body).toEqual({
      title: 'y',
      author: { given: 'J' },
      tags: ['b'],
      fresh: { b: 1 },
    })
  })

  test('an idempotency key makes a repetition answer for the first', async () => {
    await put('a', { list: [] })
    const add = [{ op: 'add', path: '/list/-', value: 'once' }]
    const first = await patch('a', add, { 'idempotency-key': 'k1' })
    const again = await patch('a', add, { 'idempotency-key': 'k1' })
    expect(again).toMatchObject({ status: 200, body: { replayed: true }, version: first.version })
    const both = await Promise.all([1, 2].map(() => patch('a', add, { 'idempotency-key': 'k2' })))
    expect(both.map(({ status }) => status)).toEqual([200, 200])
    expect((await get('a')).body).toEqual({ list: ['once', 'once'] })
  })

  test('a 2xx means stored', async () => {
    await put('a', { n: 0 })
    gate.hold()
    let answered = false
    const answer = patch('a', [{ op: 'replace', path: '/n', value: 1 }]).finally(() => (answered = true))
    await until('the edit to reach the store', () => gate.appends.length === 2)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(answered).toBe(false)
    gate.release()
    expect((await answer).status).toBe(200)
  })

  test('patches of many authors at once all arrive', async () => {
    await put('a', { list: [] })
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) => patch('a', [{ op: 'add', path: '/list/-', value: index }])),
    )
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    const { list } = (await get('a')).body as { list: number[] }
    expect(list.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, index) => index))
  })
})

describe('DELETE', () => {
  test('what is deleted is gone until it is created explicitly, and old versions do not fit the new one', async () => {
    const { version } = await put('a', { n: 1 })
    expect((await send('DELETE', server.address('a'), { headers: { 'if-match': '"x.1"' } })).status).toBe(412)
    expect(
      (await send('DELETE', server.address('a'), { headers: { 'if-match': `"${version}"` } })).status,
    ).toBe(204)
    expect(await get('a')).toMatchObject({ status: 410, body: { code: 'document-deleted' } })
    expect((await put('a', {})).status).toBe(410)
    expect((await patch('a', [])).status).toBe(410)
    expect((await send('DELETE', server.address('a'))).status).toBe(410)
    const created = await put('a', { n: 2 }, { 'if-none-match': '*' })
    expect(created.status).toBe(200)
    expect((await get('a')).body).toEqual({ n: 2 })
    expect(await get('a', `?at=${version}`)).toMatchObject({
      status: 409,
      body: { code: 'incarnation-mismatch' },
    })
    const stale = await patch('a', [{ op: 'add', path: '/x', value: 1 }], { 'polyphony-anchor': version })
    expect(stale).toMatchObject({ status: 409, body: { code: 'incarnation-mismatch' } })
    expect((await send('DELETE', server.address('missing'))).status).toBe(404)
  })
})

describe('Yjs updates', () => {
  test('a document can be fetched, edited and sent back as Yjs', async () => {
    await put('a', { title: 'x' })
    const doc = await replica('a')
    expect(doc.getMap('state').toJSON()).toEqual({ title: 'x' })
    const before = Y.encodeStateVector(doc)
    doc.getMap('state').set('mine', 1)
    const posted = await post('a', Y.encodeStateAsUpdate(doc, before))
    expect(posted).toMatchObject({ status: 200, body: { version: posted.version } })
    expect(posted.version).toBe((await get('a')).version)
    expect((await get('a')).body).toEqual({ title: 'x', mine: 1 })
    await patch('a', [{ op: 'add', path: '/theirs', value: 2 }])
    await pull('a', doc)
    expect(doc.getMap('state').toJSON()).toEqual({ title: 'x', mine: 1, theirs: 2 })
  })

  test('an update creates a document, and one that adds nothing writes nothing', async () => {
    const doc = new Y.Doc()
    doc.getMap('state').set('n', 1)
    const update = Y.encodeStateAsUpdate(doc)
    const { version } = await post('new', update)
    expect((await get('new')).body).toEqual({ n: 1 })
    expect((await post('new', update)).version).toBe(version)
  })

  test('bytes that are no update, or miss what they build on, are refused', async () => {
    expect(await post('a', Uint8Array.of(1, 2, 3))).toMatchObject({
      status: 400,
      body: { code: 'invalid-update' },
    })
    const doc = new Y.Doc()
    doc.getText('t').insert(0, 'a')
    const before = Y.encodeStateVector(doc)
    doc.getText('t').insert(1, 'b')
    expect(await post('a', Y.encodeStateAsUpdate(doc, before))).toMatchObject({
      status: 409,
      body: { code: 'conflict' },
    })
    expect((await send('GET', server.address('a', '/updates'))).status).toBe(404)
    await put('a', {})
    expect((await send('GET', server.address('a', '/updates?sv=AQ'))).status).toBe(400)
  })
})

function post(documentId: string, update: Uint8Array): Promise<Answer> {
  return send('POST', server.address(documentId, '/updates'), {
    body: update,
    type: 'application/octet-stream',
  })
}

async function pull(documentId: string, doc: Y.Doc): Promise<void> {
  const stateVector = Buffer.from(Y.encodeStateVector(doc)).toString('base64url')
  const response = await fetch(server.address(documentId, `/updates?sv=${stateVector}`))
  expect(response.status).toBe(200)
  Y.applyUpdate(doc, new Uint8Array(await response.arrayBuffer()))
}

async function replica(documentId: string): Promise<Y.Doc> {
  const doc = new Y.Doc()
  const response = await fetch(server.address(documentId, '/updates'))
  Y.applyUpdate(doc, new Uint8Array(await response.arrayBuffer()))
  return doc
}

function raw(
  address: string,
  headers: Record<string, string>,
): Promise<{ headers: Record<string, unknown>; body: Buffer }> {
  return new Promise((resolve, reject) => {
    request(address, { headers }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }))
      response.on('error', reject)
    })
      .on('error', reject)
      .end()
  })
}
