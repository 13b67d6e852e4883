import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { isFixedLimit, limitTable, resolveLimits, type LimitName } from '@polyphony/core'
import { defaultCheckpointPolicy } from '@polyphony/server'
import { defaultRetention } from '@polyphony/storage'
import { afterAll, describe, expect, it } from 'vitest'
import { parseConfiguration } from './configuration.ts'
import { readSettings, type Environment } from './option-sources.ts'
import { optionNames, optionSpec } from './options.ts'
import { UsageError } from './usage-error.ts'

const folder = mkdtempSync(join(tmpdir(), 'polyphony-config-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let files = 0

function file(content: unknown): string {
  const path = join(folder, `${files++}.json`)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

const configure = (args: readonly string[], env: Environment = {}) =>
  parseConfiguration(readSettings(args, env))

function mistake(args: readonly string[], env: Environment = {}): string {
  try {
    configure(args, env)
  } catch (error) {
    if (error instanceof UsageError) return error.message
    throw error
  }
  throw new Error('No mistake was found.')
}

describe('configuration', () => {
  it('has defaults that listen on loopback and keep documents', () => {
    const { projections, ...rest } = configure([])
    expect(rest).toEqual({
      host: '127.0.0.1',
      port: 4400,
      store: { kind: 'level', directory: resolve('data') },
      storage: {
        fsync: true,
        compress: false,
        encryptionKeys: undefined,
        allowVolatile: false,
        ca: undefined,
        timeoutMs: 10_000,
        connectTimeoutMs: 5_000,
        levelCacheBytes: 32 << 20,
        redis: { prefix: 'polyphony', sentinel: undefined, waitReplicas: undefined },
        postgres: { schema: 'polyphony', connectionsMax: 8 },
        history: defaultRetention,
      },
      checkpoints: defaultCheckpointPolicy,
      authSecret: undefined,
      origins: [],
      hosts: undefined,
      site: undefined,
      logLevel: 'info',
      limits: resolveLimits(),
      agents: {},
    })
    expect(projections('any')).toEqual({})
  })

  it('takes flags over the environment over the file over the default', () => {
    const path = file({ port: 1, logLevel: 'debug', origins: ['https://file.example'] })
    const env = { POLYPHONY_CONFIG: path, POLYPHONY_PORT: '2', POLYPHONY_LOG_LEVEL: '' }
    expect(configure([], { POLYPHONY_CONFIG: path })).toMatchObject({
      port: 1,
      origins: ['https://file.example'],
    })
    expect(configure([], env)).toMatchObject({ port: 2, logLevel: 'debug' })
    expect(configure(['--port', '3'], env)).toMatchObject({ port: 3 })
    expect(configure(['--config', file({ port: 4 })], { POLYPHONY_CONFIG: path })).toMatchObject({ port: 4 })
  })

  it('reads every setting from every source alike', () => {
    const samples: Record<string, { text: string; json: unknown }> = {
      host: { text: '::1', json: '::1' },
      port: { text: '0', json: 0 },
      store: { text: 'memory:', json: 'memory:' },
      fsync: { text: 'off', json: 'off' },
      compress: { text: 'on', json: 'on' },
      encryptionKeys: { text: './keys', json: './keys' },
      allowVolatile: { text: 'on', json: 'on' },
      storeCa: { text: './ca.pem', json: './ca.pem' },
      storeTimeout: { text: '700', json: 700 },
      storeConnectTimeout: { text: '800', json: 800 },
      levelCache: { text: '1048576', json: 1 << 20 },
      redisPrefix: { text: 'staging', json: 'staging' },
      redisSentinels: { text: 'a.example:26380', json: ['a.example:26380'] },
      redisSentinelName: { text: 'primary', json: 'primary' },
      redisSentinelPassword: { text: 'p', json: 'p' },
      redisWaitReplicas: { text: '2', json: 2 },
      redisWaitTimeout: { text: '300', json: 300 },
      postgresSchema: { text: 'staging', json: 'staging' },
      postgresConnections: { text: '20', json: 20 },
      history: { text: 'entries=7', json: { entries: 7 } },
      checkpoints: { text: 'bytes=7', json: { bytes: 7 } },
      authSecret: { text: 's'.repeat(32), json: 's'.repeat(32) },
      origins: { text: 'https://a.example', json: ['https://a.example'] },
      hosts: { text: 'a.example', json: ['a.example'] },
      site: { text: './page', json: './page' },
      logLevel: { text: 'warn', json: 'warn' },
      limits: { text: 'bodyBytesMax=7', json: { bodyBytesMax: 7 } },
      projections: { text: '[{"documents":"a"}]', json: [{ documents: 'a' }] },
      agents: {
        text: '{"helper":{"url":"http://a.example/"}}',
        json: { helper: { url: 'http://a.example/' } },
      },
    }
    const sentinel = ['--redis-sentinel', 'b.example']
    const sentinelName = ['--redis-sentinel-name', 'other']
    const waiting = ['--redis-wait-replicas', '1']
    /** What some make sense with only, and what to compare them with. */
    const context: Record<string, readonly [readonly string[], readonly string[]]> = {
      redisSentinels: [sentinelName, []],
      redisSentinelName: [sentinel, []],
      redisSentinelPassword: [
        [...sentinel, ...sentinelName],
        [...sentinel, ...sentinelName],
      ],
      redisWaitTimeout: [waiting, waiting],
    }
    for (const name of optionNames) {
      const sample = samples[name]
      if (name === 'config') continue
      if (sample === undefined) throw new Error(`No sample for ${name}.`)
      const spec = optionSpec(name)
      const [rest, without] = context[name] ?? [[], []]
      const byFlag = configure([`--${spec.flag}`, sample.text, ...rest])
      const { projections: _flag, ...flag } = byFlag
      const { projections: _env, ...env } = configure(rest, { [spec.env]: sample.text })
      const path = file({ [spec.file]: sample.json })
      const { projections: _file, ...fromFile } = configure(['--config', path, ...rest])
      expect(env, name).toEqual(flag)
      expect(fromFile, name).toEqual(flag)
      if (name !== 'projections') {
        const { projections: _default, ...fallback } = configure(without)
        expect(flag, name).not.toEqual(fallback)
      }
    }
  })

  it('repeats flags and separates environment values by commas', () => {
    const both = { origins: ['https://a.example', 'http://b.example:81'] }
    expect(configure(['--origin', 'https://a.example', '--origin', 'http://b.example:81/'])).toMatchObject(
      both,
    )
    expect(configure([], { POLYPHONY_ORIGIN: 'https://A.example, http://b.example:81' })).toMatchObject(both)
    expect(mistake(['--port', '1', '--port', '2'])).toBe('--port was given 2 times; it takes one value.')
  })

  it('takes Sentinels, with and without port', () => {
    const args = [
      '--redis-sentinel',
      'a.example',
      '--redis-sentinel',
      '[::1]:7',
      '--redis-sentinel-name',
      'main',
    ]
    expect(configure(args).storage.redis.sentinel).toEqual({
      name: 'main',
      addresses: [
        { host: 'a.example', port: 26_379 },
        { host: '::1', port: 7 },
      ],
    })
  })

  it('chooses the first projection that fits', () => {
    const text = { kind: 'text', name: 'text' }
    const { projections } = configure([
      '--projections',
      JSON.stringify([
        { documents: 'notes/*', mounts: { '/text': text } },
        { documents: '**', root: 'data' },
      ]),
    ])
    expect(projections('notes/a')).toEqual({ mounts: { '/text': text } })
    expect(projections('notes/a/b')).toEqual({ root: 'data' })
  })

  it.each([
    [['--port', '65536'], '--port: "65536" is not a port from 0 to 65535.'],
    [['--port', 'x'], '--port: "x" is not a port'],
    [['--host', 'a b'], '--host: "a b" is not an address to listen on'],
    [
      ['--store', 'disk:x'],
      '--store: not a store: use memory:, level:DIRECTORY, redis://…, rediss://… or postgres://….',
    ],
    [['--fsync', 'maybe'], '--fsync: "maybe" is neither on nor off.'],
    [['--auth-secret', 'short'], '--auth-secret: the secret has 5 bytes; it needs at least 32'],
    [['--origin', 'https://a.example/path'], 'is not an origin'],
    [['--allow-host', 'a.example:80'], 'is not a host name'],
    [['--log-level', 'loud'], 'is not a log level: use debug, info, warn, error, silent.'],
    [['--limit', 'bodyBytesMax'], 'is not NAME=NUMBER'],
    [['--limit', 'documentIdBytesMax=7'], 'documentIdBytesMax is 512 everywhere; it cannot be changed.'],
    [['--store-timeout', '0'], '--store-timeout: "0" is not a number of milliseconds from 1 to 3600000.'],
    [['--store-timeout', '10s'], '"10s" is not a number of milliseconds'],
    [['--level-cache', '32MB'], '"32MB" is not a number of bytes'],
    [['--redis-prefix', '{a}'], 'is not a prefix of keys'],
    [['--redis-sentinel', 'a.example'], '--redis-sentinel: by which name do they know the primary?'],
    [['--redis-sentinel-name', 'primary'], '--redis-sentinel-name: where are the Sentinels?'],
    [['--redis-sentinel', 'redis://a', '--redis-sentinel-name', 'b'], '"redis://a" is not HOST:PORT'],
    [['--redis-wait-replicas', '101'], 'is not a number of replicas from 0 to 100'],
    [['--postgres-schema', 'My-Schema'], 'is not a schema'],
    [['--postgres-connections', '0'], 'is not a number of connections from 1 to 1000'],
    [['--history', 'age=5'], '"age=5" is not NAME=NUMBER; the names are entries, bytes, ageMs.'],
    [['--checkpoint', 'entries'], '"entries" is not NAME=NUMBER; the names are entries, bytes, ageMs.'],
    [['--limit', 'nothingMax=1'], 'there is no limit "nothingMax". Known: frameBytesMax'],
    [['--agents', '[]'], 'a JSON object'],
    [['--agents', '{"a":{}}'], 'has no "url"'],
    [['--agents', '{"a":{"url":"file:///etc/passwd"}}'], '"url" of the agent "a"'],
    [['--agents', '{"a":{"url":"http://b/","key":1}}'], 'no member "key"'],
    [['--projections', '[{}]'], 'every projection is an object with the member "documents"'],
    [['--projections', '[{"documents":"a","mount":{}}]'], 'no member "mount"'],
    [['--projections', '[{"documents":"a","mounts":{"text":{"kind":"text","name":"t"}}}]'], 'cannot be'],
    [['--projections', '[{"documents":"a","mounts":{"/t":{"kind":"prose","name":"t"}}}]'], 'kinds: map'],
    [['--colour', 'blue'], "Unknown option '--colour'."],
    [['extra'], 'Unexpected argument "extra".'],
    [['--port'], "Option '--port <value>' argument missing."],
    [['--config', 'absent.json'], 'The configuration file absent.json cannot be read: ENOENT'],
    [['--host', '0.0.0.0'], 'Not listening on 0.0.0.0 without an auth secret'],
  ])('says in one line what is wrong with %j', (args, message) => {
    const said = mistake(args)
    expect(said).toContain(message)
    expect(said).not.toContain('\n')
  })

  it('names the variable or the member of the file that is wrong, and never a secret', () => {
    expect(mistake([], { POLYPHONY_PORT: 'tcp://10.0.0.1:4400' })).toMatch(
      /^POLYPHONY_PORT: .*enableServiceLinks/,
    )
    const path = file({ port: 'x' })
    expect(mistake(['--config', path])).toBe(`"port" in ${path}: "x" is not a port from 0 to 65535.`)
    expect(mistake(['--config', file({ ports: 1 })])).toMatch(/^Unknown member "ports" in .* Known: host, /)
    expect(mistake(['--config', file('{')])).toContain('cannot be read')
    expect(mistake(['--config', file([])])).toContain('must hold a JSON object')
    expect(mistake(['--config', file({ origins: { a: 1 } })])).toContain('"origins" in')
    expect(mistake([], { POLYPHONY_AUTH_SECRET: 'my-secret' })).not.toContain('my-secret')
  })

  it('listens anywhere with a secret', () => {
    expect(configure(['--host', '0.0.0.0', '--auth-secret', 'x'.repeat(32)]).host).toBe('0.0.0.0')
    for (const host of ['localhost', '127.0.0.2', '::1']) expect(configure(['--host', host]).host).toBe(host)
  })

  it('takes every limit of the table', () => {
    const names = Object.keys(limitTable) as LimitName[]
    for (const name of names.filter((name) => !isFixedLimit(name)))
      expect(configure(['--limit', `${name}=12`]).limits).toMatchObject({ [name]: 12 })
  })
})
