import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findFreePort, startRedis, startRedisSentinel, type RedisService } from '@polyphony/test-services'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { makeCertificates, openssl, type Certificates } from './support/certificates.ts'
import { startServer, type RunningServer } from './support/running-server.ts'

const folder = mkdtempSync(join(tmpdir(), 'polyphony-settings-'))
let redis: RedisService
let tlsUrl = ''
let certificates: Certificates | undefined
const running: RunningServer[] = []

beforeAll(async () => {
  if (openssl !== undefined) certificates = makeCertificates(folder)
  const port = await findFreePort()
  tlsUrl = `rediss://127.0.0.1:${port}`
  const tls =
    certificates === undefined
      ? {}
      : {
          'tls-port': `${port}`,
          'tls-cert-file': certificates.certificate,
          'tls-key-file': certificates.key,
          'tls-ca-cert-file': certificates.ca,
          'tls-auth-clients': 'no',
        }
  redis = await startRedis({ settings: tls })
})
afterEach(async () => {
  for (const server of running.splice(0)) await server.kill()
})
afterAll(async () => {
  await redis.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function start(...args: readonly string[]): Promise<RunningServer> {
  const server = await startServer(args)
  running.push(server)
  return server
}

function put(server: RunningServer): Promise<Response> {
  const headers = { 'content-type': 'application/json' }
  return fetch(`${server.url}/v1/documents/a`, { method: 'PUT', headers, body: '{"n":1}' })
}

test.skipIf(openssl === undefined)(
  openssl === undefined
    ? 'certificates (skipped: there is no openssl)'
    : 'certificates: an unknown authority is refused, and trusted once it is named',
  async () => {
    await expect(start('--store', tlsUrl)).rejects.toThrow(
      /shows a certificate that nobody vouches for: .*--store-ca/,
    )
    const missing = ['--store', tlsUrl, '--store-ca', join(folder, 'missing')]
    await expect(start(...missing)).rejects.toThrow(/the certificates .*missing cannot be read/)
    const server = await start('--store', tlsUrl, '--store-ca', certificates?.ca ?? '')
    expect((await put(server)).status).toBe(200)
  },
)

test('deployments under two prefixes do not see each other', async () => {
  const one = await start('--store', redis.url, '--redis-prefix', 'one')
  const two = await start('--store', redis.url, '--redis-prefix', 'two')
  expect((await put(one)).status).toBe(200)
  expect((await fetch(`${one.url}/v1/documents/a`)).status).toBe(200)
  expect((await fetch(`${two.url}/v1/documents/a`)).status).toBe(404)
})

test('without the replicas that are asked for, nothing is acknowledged', async () => {
  const wait = ['--redis-wait-replicas', '1', '--redis-wait-timeout', '50', '--limit', 'storeGiveUpMs=300']
  const server = await start('--store', redis.url, '--redis-prefix', 'waiting', ...wait)
  expect((await put(server)).status).toBe(503)
})

test('the primary is asked for at the Sentinels', async () => {
  const sentinel = await startRedisSentinel(redis, 'main')
  try {
    const address = `127.0.0.1:${sentinel.port}`
    const flags = ['--redis-sentinel', address, '--redis-sentinel-name', 'main', '--redis-prefix', 'sentinel']
    const server = await start('--store', 'redis://somewhere.invalid', ...flags)
    expect((await put(server)).status).toBe(200)
  } finally {
    await sentinel.stop()
  }
})

test('an address where nobody is', async () => {
  await expect(start('--store', 'redis://127.0.0.1:1')).rejects.toThrow(
    /The store redis:\/\/127\.0\.0\.1:1 cannot be reached: check its address, and that it runs\./,
  )
})
