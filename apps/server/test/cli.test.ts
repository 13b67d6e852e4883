import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { optionNames, optionSpec } from '../src/options.ts'
import { startServer, type RunningServer } from './support/running-server.ts'

const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url))
const secret = 'a secret that is long enough for HS256'

let folder = ''
const running: RunningServer[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'polyphony-cli-'))
})

afterEach(async () => {
  for (const server of running.splice(0)) await server.kill()
  await rm(folder, { recursive: true, force: true })
})

async function start(...parameters: Parameters<typeof startServer>): Promise<RunningServer> {
  const server = await startServer(...parameters)
  running.push(server)
  return server
}

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Runs the built program to its end. */
function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [cli, ...args], { env: { ...process.env, ...env } })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, out, err }))
  })
}

describe('polyphony', () => {
  it('explains itself', async () => {
    const [overview, serve, version] = await Promise.all([
      run(['--help']),
      run(['serve', '--help']),
      run(['--version']),
    ])
    expect(overview).toMatchObject({ code: 0, err: '' })
    for (const command of ['serve', 'demo', 'token']) expect(overview.out).toContain(command)
    for (const name of optionNames) {
      expect(serve.out).toContain(`--${optionSpec(name).flag} `)
      expect(serve.out).toContain(optionSpec(name).env)
    }
    expect(version.out).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  it('exits with 2 and one line when it is called wrongly', async () => {
    const calls = [
      ['serv'],
      ['serve', '--prot', '1'],
      ['serve', '--port', 'x'],
      ['serve', '--host', '0.0.0.0'],
    ]
    for (const ended of await Promise.all(calls.map((call) => run(call)))) {
      expect(ended).toMatchObject({ code: 2, out: '' })
      expect(ended.err).toMatch(/^polyphony: .+\n$/)
    }
  })

  it('exits with 1 and one line when it cannot start', async () => {
    const store = join(folder, 'store')
    const blocked = join(folder, 'file')
    await writeFile(blocked, '')
    const server = await start(['--store', `level:${store}`])
    const { port } = new URL(server.url)
    const [locked, taken, unwritable, foreign] = await Promise.all([
      run(['serve', '--port', '0', '--store', `level:${store}`]),
      run(['serve', '--port', port, '--store', 'memory:']),
      run(['serve', '--port', '0', '--store', `level:${blocked}/below`]),
      run(['serve', '--port', '0', '--store', 'memory:', '--host', '192.0.2.1', '--auth-secret', secret]),
    ])
    for (const ended of [locked, taken, unwritable, foreign]) {
      expect(ended.err).toMatch(/^polyphony: .+\n$/)
      expect(ended.code).toBe(1)
    }
    expect(locked.err).toContain('is open in another process')
    expect(taken.err).toContain(`Port ${port} on 127.0.0.1 is in use`)
    expect(unwritable.err).toContain('cannot be written')
    expect(foreign.err).toContain('no address 192.0.2.1')
  })

  it('takes its settings from a file, and serves a site', async () => {
    const path = join(folder, 'polyphony.json')
    await writeFile(join(folder, 'index.html'), '<h1>hello</h1>')
    const projections = [{ documents: '**', mounts: { '/text': { kind: 'text', name: 'text' } } }]
    await writeFile(
      path,
      JSON.stringify({ store: 'memory:', site: folder, projections, limits: { bodyBytesMax: 64 } }),
    )
    const server = await start(['--config', path])
    expect(await (await fetch(server.url)).text()).toBe('<h1>hello</h1>')
    const document = `${server.url}/v1/documents/a`
    const put = (body: unknown) =>
      fetch(document, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    expect((await put({ text: 'x'.repeat(100) })).status).toBe(413)
    expect((await put({ text: 'hello' })).status).toBe(200)
    expect(await (await fetch(document)).json()).toEqual({ text: 'hello' })
  })

  it('asks for tokens when it has a secret, and makes them', async () => {
    const server = await start(['--store', 'memory:', '--log-level', 'debug'], {
      POLYPHONY_AUTH_SECRET: secret,
    })
    const made = await run(
      ['token', '--subject', 'ada', '--document', 'notes/*', '--access', 'read', '--expires-in', '5m'],
      { POLYPHONY_AUTH_SECRET: secret },
    )
    expect(made).toMatchObject({ code: 0, err: '' })
    const token = made.out.trim()
    const status = async (id: string, method: string, headers: Record<string, string>) =>
      (
        await fetch(`${server.url}/v1/documents/${encodeURIComponent(id)}`, {
          method,
          headers: { ...headers, 'content-type': 'application/json' },
          ...(method === 'PUT' ? { body: '{}' } : {}),
        })
      ).status
    const bearer = { authorization: `Bearer ${token}` }
    expect(await status('notes/a', 'GET', {})).toBe(401)
    expect(await status('notes/a', 'GET', bearer)).toBe(404)
    expect(await status('notes/a', 'PUT', bearer)).toBe(403)
    expect(await status('other', 'GET', bearer)).toBe(403)
    await new Promise((resolve) => {
      new WebSocket(`${server.url.replace('http', 'ws')}/sync/notes/a?token=${token}`).once('open', resolve)
    })
    expect(await server.terminate()).toBe(0)
    expect(server.lines.join('\n')).not.toContain(token.slice(0, 20))
    expect(server.lines.join('\n')).not.toContain(secret)

    const scoped = ['token', '--subject', 'ada', '--document', 'a', '--read', '/x', '--write', '/x/y']
    const { out } = await run(scoped, { POLYPHONY_AUTH_SECRET: secret })
    const claims = JSON.parse(Buffer.from(out.split('.')[1] ?? '', 'base64url').toString()) as unknown
    expect(claims).toMatchObject({ documents: [{ pattern: 'a', read: ['/x'], write: ['/x/y'] }] })
    const wrong = await run([...scoped, '--write', '/z'], { POLYPHONY_AUTH_SECRET: secret })
    expect(wrong).toMatchObject({ code: 2, out: '' })

    const incomplete = await run(['token', '--subject', 'ada'], { POLYPHONY_AUTH_SECRET: secret })
    expect(incomplete).toMatchObject({ code: 2, out: '' })
    expect((await run(['token', '--subject', 'a', '--document', '**'])).err).toContain(
      'POLYPHONY_AUTH_SECRET',
    )
  })

  it('says goodbye on SIGTERM, and exits with 0', async () => {
    const server = await start(['--store', 'memory:'])
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/sync/a`)
    await new Promise((resolve) => socket.once('message', resolve))
    const closed = new Promise((resolve) => socket.once('close', (code) => resolve(code)))
    expect(await server.terminate()).toBe(0)
    expect(await closed).toBe(1012)
    const messages = server.lines.map((line) => (JSON.parse(line) as { msg: string }).msg)
    expect(messages.filter((message) => message.startsWith('stop'))).toEqual(['stopping', 'stopped'])
  })

  it('ends at once when it is told twice, but takes the twin of a Ctrl-C for the same', async () => {
    const signals = new URL('../dist/signals.js', import.meta.url).href
    const program = `const { stopSignal } = await import('${signals}')
      const timer = setInterval(() => undefined, 1000)
      const stopped = stopSignal()
      process.stdout.write('ready')
      process.stdout.write(await stopped)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program])
    const said = (words: readonly string[]) =>
      new Promise((resolve) =>
        child.stdout.on('data', (chunk: Buffer) => words.includes(chunk.toString()) && resolve(undefined)),
      )
    await said(['ready'])
    const first = said(['SIGINT', 'SIGTERM'])
    child.kill('SIGINT')
    child.kill('SIGTERM')
    await first
    const ended = new Promise((resolve) => child.once('exit', resolve))
    const again = setInterval(() => child.kill('SIGTERM'), 50)
    expect(await ended).toBe(1)
    clearInterval(again)
  })

  it('shows the example page with a document to begin with, once', async () => {
    const store = `level:${join(folder, 'demo')}`
    const first = await start(['--store', store, '--log-level', 'info'], {}, 'demo')
    expect(await (await fetch(first.url)).text()).toContain('<title>Polyphony</title>')
    const document = `${first.url}/v1/documents/welcome`
    const state = (await (await fetch(document)).json()) as { text: string; tasks: unknown[] }
    expect(state.text).toMatch(/^# Welcome/)
    expect(state.tasks).toHaveLength(1)
    await fetch(document, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json-patch+json' },
      body: JSON.stringify([{ op: 'remove', path: '/tasks/0' }]),
    })
    expect(await first.terminate()).toBe(0)
    expect(first.lines.join('\n')).toContain('Ctrl-C stops the server.')
    const second = await start(['--store', store, '--log-level', 'info'], {}, 'demo')
    const kept = `${second.url}/v1/documents/welcome`
    expect(await (await fetch(`${kept}?path=/tasks`)).json()).toEqual([])
    await fetch(kept, { method: 'DELETE' })
    expect(await second.terminate()).toBe(0)
    const third = await start(['--store', store, '--log-level', 'info'], {}, 'demo')
    expect((await fetch(`${third.url}/v1/documents/welcome`)).status).toBe(410)
  })
})
