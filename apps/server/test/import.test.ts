import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { toJson, text } from '@polyphony/translator'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import * as Y from 'yjs'
import { importOptions, importSettings } from '../src/import-options.ts'
import { loadOptionalPackage } from '../src/import/optional-package.ts'
import { readStoredDocument } from '../src/import/stored-document.ts'
import { optionSpec } from '../src/options.ts'
import { StartError } from '../src/start-error.ts'
import { runCommand, startCommand } from './support/command.ts'
import { startServer } from './support/running-server.ts'
import { levelStates, withLevel } from './support/stored.ts'
import { openLeveldbPersistence } from './support/y-leveldb.ts'

const fixture = new URL('../../../packages/server/test/fixtures/twitter.json.gz', import.meta.url)
let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'polyphony-import-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** Fills a database through the real package, as y-websocket does: one call per update. Returns what it then has. */
async function fillLeveldb(directory: string, documents: ReadonlyMap<string, number>) {
  const persistence = await openLeveldbPersistence(directory)
  const states = new Map<string, Uint8Array>()
  let clientId = 1
  for (const [name, edits] of documents) {
    const doc = new Y.Doc()
    doc.clientID = clientId++
    const updates: Uint8Array[] = []
    doc.on('update', (update: Uint8Array) => updates.push(update))
    for (let edit = 0; edit < edits; edit++) {
      const body = doc.getText('text')
      if (edit % 5 === 4) body.delete(body.length >> 1, 2)
      else body.insert(body.length >> 1, `${name} ${edit} `)
      doc.getMap('state').set(`key-${edit % 7}`, edit)
    }
    for (const update of updates) await persistence.storeUpdate(name, update)
    states.set(name, Y.encodeStateAsUpdate(doc))
  }
  await persistence.destroy()
  return states
}

function numbered(count: number, edits: number): ReadonlyMap<string, number> {
  return new Map(Array.from({ length: count }, (_, at) => [`document-${at}`, edits]))
}

async function lineCount(path: string): Promise<number> {
  return existsSync(path) ? (await readFile(path, 'utf8')).split('\n').length - 1 : 0
}

describe('polyphony import', () => {
  it('explains itself', async () => {
    const help = await runCommand(['import', '--help'])
    expect(help).toMatchObject({ code: 0, err: '' })
    for (const { flag } of importOptions) expect(help.out).toContain(`--${flag}`)
    for (const name of importSettings) expect(help.out).toContain(`--${optionSpec(name).flag} `)
  })

  it('exits with 2 and one line when it is called wrongly', async () => {
    const store = `level:${join(folder, 'store')}`
    const calls = [
      ['--store', store],
      ['--from', `json:${folder}`],
      ['--from', 'hocuspocus:x', '--store', store],
      ['--from', 'y-redis:localhost', '--store', store],
      ['--from', `json:${folder}`, '--store', 'memory:'],
      ['--from', `json:${folder}`, '--store', store, '--merge'],
      ['--from', `json:${folder}`, '--store', store, '--projections', '{'],
      ['--from', `json:${folder}`, '--store', store, '--forse'],
      // Every flag of the table is one; only the source is wrong.
      importOptions.flatMap(({ flag, value }) => (value === undefined ? [`--${flag}`] : [`--${flag}`, 'x'])),
    ]
    for (const ended of await Promise.all(calls.map((call) => runCommand(['import', ...call])))) {
      expect(ended).toMatchObject({ code: 2, out: '' })
      expect(ended.err).toMatch(/^polyphony: .+\n$/)
    }
    expect((await runCommand(['import', ...(calls.at(-1) ?? [])])).err).toContain(
      '--from: "x" is not a source',
    )
    expect(existsSync(join(folder, 'store'))).toBe(false)
  })

  it('takes over a y-leveldb database, unchanged, and a server serves it', async () => {
    const [source, store] = [join(folder, 'source'), join(folder, 'store')]
    const states = await fillLeveldb(
      source,
      new Map([
        ['notes/a', 3],
        ['ünïcode', 40],
        // y-leveldb's own way to read would rewrite this one.
        ['long', 700],
      ]),
    )
    const args = ['import', '--from', `y-leveldb:${source}`, '--store', `level:${store}`]
    const dry = await runCommand([...args, '--dry-run'])
    expect(dry).toMatchObject({ code: 0, err: '' })
    expect(dry.out).toContain('3 would be imported')
    expect(existsSync(store)).toBe(false)

    const first = await runCommand([...args, '--verify'])
    expect(first).toMatchObject({ code: 0, err: '' })
    expect(first.out).toContain('3 imported')
    expect(first.out).toContain('3 read back and compared')
    expect(await levelStates(store)).toEqual(states)
    expect((await runCommand(args)).out).toContain('3 there already')

    const persistence = await openLeveldbPersistence(source)
    for (const [name, state] of states)
      expect(Y.encodeStateAsUpdate(await persistence.getYDoc(name))).toEqual(state)
    await persistence.destroy()

    const server = await startServer(['--store', `level:${store}`])
    const answer = await fetch(`${server.url}/v1/documents/notes%2Fa/updates`)
    expect(new Uint8Array(await answer.arrayBuffer())).toEqual(states.get('notes/a'))
    const busy = await runCommand(args)
    expect(busy).toMatchObject({ code: 1, out: '' })
    expect(busy.err).toContain('is open in another process: stop that server first')
    expect(await server.terminate()).toBe(0)
  })

  it('leaves alone what differs, says so, and merges when told', async () => {
    const [source, store, other] = ['source', 'store', 'other'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    await fillLeveldb(source, new Map([['a', 5]]))
    const ahead = new Y.Doc()
    ahead.getText('text').insert(0, 'mine')
    await withLevel(store, async (level) => {
      const update = Y.encodeStateAsUpdate(ahead)
      await level.append([
        { documentId: 'p/a', entries: [{ update, meta: { author: 'x', committedAtMs: 1 } }] },
      ])
    })
    await cp(store, other, { recursive: true })
    const args = ['import', '--from', `y-leveldb:${source}`, '--prefix', 'p/', '--store']
    const ended = await runCommand([...args, `level:${store}`])
    expect(ended.code).toBe(1)
    expect(ended.err).toBe(
      'polyphony: "a": the store has another document of this id, which was left as it is.\n',
    )
    expect(await levelStates(store)).toEqual(new Map([['p/a', Y.encodeStateAsUpdate(ahead)]]))
    expect(await runCommand([...args, `level:${other}`, '--merge', '--verify'])).toMatchObject({
      code: 0,
      err: expect.stringMatching(/^polyphony: the directory is a copy, [^{}]*\n$/),
    })
    await withLevel(other, async (level) => {
      const { doc } = (await readStoredDocument(level, 'p/a')) ?? {}
      expect(doc?.getText('text').toJSON()).toContain('mine')
      expect(doc?.getMap('state').get('key-4')).toBe(4)
    })
  })

  it('opens the store as the server does, by the same settings', async () => {
    const [source, keys, config] = ['source', 'keys', 'polyphony.json'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    const store = join(folder, 'store')
    const states = await fillLeveldb(source, new Map([['a', 50]]))
    expect(await runCommand(['keys', 'generate', '--append', keys])).toMatchObject({ code: 0 })
    const settings = {
      store: `level:${store}`,
      encryptionKeys: keys,
      compress: 'on',
      port: 1,
      host: '127.0.0.1',
    }
    await writeFile(config, JSON.stringify(settings))
    const args = ['import', '--from', `y-leveldb:${source}`, '--config', config, '--verify']
    expect(await runCommand(args)).toMatchObject({ code: 0, err: '' })
    expect((await runCommand(args)).out).toContain('1 there already')
    const server = await startServer(['--config', config, '--port', '0'])
    const answer = await fetch(`${server.url}/v1/documents/a/updates`)
    expect(new Uint8Array(await answer.arrayBuffer())).toEqual(states.get('a'))
    await server.terminate()
    await withLevel(store, async (level) => {
      for await (const item of level.read('a')) {
        const bytes = 'update' in item ? item.update : new Uint8Array()
        expect(Buffer.from(bytes).includes('a 0')).toBe(false)
      }
    })
  })

  it('names the documents that cannot be imported, and imports the others', async () => {
    const [source, store] = [join(folder, 'source'), join(folder, 'store')]
    const persistence = await openLeveldbPersistence(source)
    const update = Y.encodeStateAsUpdate(new Y.Doc())
    for (const name of ['fine', 'bad\u0000id', 'x'.repeat(600)]) await persistence.storeUpdate(name, update)
    const torn = new Y.Doc()
    const updates: Uint8Array[] = []
    torn.on('update', (update: Uint8Array) => updates.push(update))
    for (const letter of 'abc') torn.getText('t').insert(torn.getText('t').length, letter)
    for (const at of [0, 2]) await persistence.storeUpdate('torn', updates[at]!)
    await persistence.storeUpdate('damaged', update)
    await persistence.storeUpdate('damaged', new Uint8Array([9, 9, 9]))
    await persistence.destroy()
    const args = ['import', '--from', `y-leveldb:${source}`, '--store', `level:${store}`]
    const ended = await runCommand(args)
    expect(ended.code).toBe(1)
    expect(ended.out).toContain('1 imported')
    expect(ended.out).toContain('4 failed')
    const lines = ended.err.trimEnd().split('\n')
    expect(lines).toHaveLength(4)
    expect(lines).toContainEqual(expect.stringMatching(/"bad\\u0000id": .*control characters/))
    expect(lines).toContainEqual(expect.stringMatching(/"xxx.*: A document id has 1 to 512 bytes/))
    expect(lines).toContainEqual(expect.stringMatching(/"torn": .*--drop-pending/))
    expect(lines).toContainEqual(expect.stringMatching(/"damaged": /))
    expect([...(await levelStates(store)).keys()]).toEqual(['fine'])
    expect((await runCommand([...args, '--drop-pending'])).err).toContain('"torn": left ')
    expect([...(await levelStates(store)).keys()]).toEqual(['fine', 'torn'])
  })

  it('refuses a source that is not one, and makes nothing there', async () => {
    const empty = join(folder, 'empty')
    await mkdir(empty)
    const store = join(folder, 'store')
    await withLevel(store, async () => undefined)
    const ended = await Promise.all(
      [
        `y-leveldb:${join(folder, 'absent')}`,
        `y-leveldb:${empty}`,
        `json:${empty}`,
        `json:${folder}/absent`,
      ].map((from, at) =>
        runCommand(['import', '--from', from, '--store', `level:${join(folder, `store-${at}`)}`]),
      ),
    )
    for (const { code, out, err } of ended) {
      expect({ code, out }).toEqual({ code: 1, out: '' })
      expect(err).toMatch(/^polyphony: .+\n$/)
    }
    expect(existsSync(join(folder, 'absent'))).toBe(false)
    // A LevelDB of something else has no documents of y-leveldb in it.
    const foreign = await runCommand([
      'import',
      '--from',
      `y-leveldb:${store}`,
      '--store',
      `level:${folder}/b`,
    ])
    expect(foreign.code).toBe(1)
    expect(foreign.err).toContain('There are no documents')

    await fillLeveldb(join(folder, 'busy'), new Map([['a', 1]]))
    const persistence = await openLeveldbPersistence(join(folder, 'busy'))
    await persistence.getYDoc('a')
    const busy = await runCommand([
      'import',
      '--from',
      `y-leveldb:${join(folder, 'busy')}`,
      '--store',
      `level:${folder}/c`,
    ])
    await persistence.destroy()
    expect(busy.code).toBe(1)
    expect(busy.err).toMatch(/open in another process: stop that server, or import from a copy/)
  })

  it('makes documents of JSON files, laid out as the server will read them', async () => {
    const [source, store] = [join(folder, 'json'), join(folder, 'store')]
    await mkdir(join(source, 'samples'), { recursive: true })
    const twitter = gunzipSync(await readFile(fixture)).toString()
    await writeFile(join(source, 'samples', 'twitter.json'), twitter)
    await writeFile(join(source, 'plan.json'), '{"text":"hello","tasks":[{"done":false}]}')
    await writeFile(join(source, 'list.json'), '[1]')
    await writeFile(join(source, 'torn.json'), '{"a":')
    await writeFile(join(source, 'other.txt'), 'no')
    const mounts = { '/text': text('text') }
    const args = ['import', '--from', `json:${source}`, '--store', `level:${store}`, '--verify']
    const ended = await runCommand([
      ...args,
      '--projections',
      JSON.stringify([{ documents: 'plan', mounts }]),
    ])
    expect(ended.code).toBe(1)
    expect(ended.err).toMatch(/"list": The whole state is always an object/)
    expect(ended.err).toMatch(/"torn": .*JSON/)
    expect(ended.out).toContain('2 read back and compared')
    await withLevel(store, async (level) => {
      const plan = await readStoredDocument(level, 'plan')
      expect(plan?.doc.getText('text').toJSON()).toBe('hello')
      const { doc } = (await readStoredDocument(level, 'samples/twitter')) ?? {}
      expect(toJson(doc!)).toEqual(JSON.parse(twitter))
    })
    const single = await runCommand([
      'import',
      '--from',
      `json:${join(source, 'plan.json')}`,
      '--store',
      `level:${store}-2`,
    ])
    expect(single.out).toContain('1 imported')
  })

  it('goes on after kill -9, and after SIGTERM, and loses and repeats nothing', async () => {
    const [source, store, journal] = ['source', 'store', 'journal'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    const states = await fillLeveldb(source, numbered(600, 4))
    const args = ['import', '--from', `y-leveldb:${source}`, '--store', `level:${store}`]
    const resumable = [...args, '--resume', journal]

    const killed = startCommand(resumable)
    await vi.waitFor(async () => expect(await lineCount(journal)).toBeGreaterThan(50), {
      timeout: 30_000,
      interval: 2,
    })
    killed.process.kill('SIGKILL')
    expect(await killed.ended).toMatchObject({ signal: 'SIGKILL' })
    const afterKill = await lineCount(journal)
    expect(afterKill).toBeLessThan(600)

    const stopped = startCommand(resumable)
    await vi.waitFor(async () => expect(await lineCount(journal)).toBeGreaterThan(afterKill + 50), {
      timeout: 30_000,
      interval: 2,
    })
    stopped.process.kill('SIGTERM')
    const ended = await stopped.ended
    expect(ended).toMatchObject({ code: 1, err: '' })
    expect(ended.out).toMatch(/not reached/)
    expect(ended.out).toMatch(/Ended early: stopped by a signal\. Run it again to go on\./)

    const last = await runCommand([...resumable, '--verify'])
    expect(last).toMatchObject({ code: 0, err: '' })
    expect(last.out).toContain('600 read back and compared with the source: equal')
    expect(await levelStates(store)).toEqual(states)
    await withLevel(store, async (level) => {
      for await (const { revision } of level.list()) expect(revision).toBe(1)
    })
    // The journal now says that all are verified: nothing is read again.
    expect((await runCommand([...resumable, '--verify'])).out).toContain(
      '600 there already (600 by the journal)',
    )
    // It does not outweigh the store.
    await rm(store, { recursive: true })
    expect((await runCommand(resumable)).out).toContain('600 imported')
    const other = await runCommand([...args, '--prefix', 'p/', '--resume', journal])
    expect(other.err).toContain('is not the journal of this import')
  }, 120_000)

  it('says how to get a package that is not there', async () => {
    const missing = loadOptionalPackage('y-nowhere', '1.2.3')
    await expect(missing).rejects.toThrow(StartError)
    await expect(missing).rejects.toThrow('npm install y-nowhere@1.2.3')
  })
})
