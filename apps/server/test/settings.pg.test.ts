import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres, type PostgresService } from '@polyphony/test-services'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { makeCertificates, openssl, type Certificates } from './support/certificates.ts'
import { startServer, type RunningServer } from './support/running-server.ts'

const folder = mkdtempSync(join(tmpdir(), 'polyphony-settings-'))
let postgres: PostgresService
let certificates: Certificates | undefined
const running: RunningServer[] = []

beforeAll(async () => {
  if (openssl !== undefined) certificates = makeCertificates(folder)
  // PostgreSQL takes only a key that is its own.
  if (certificates !== undefined && process.getuid?.() === 0) {
    chmodSync(folder, 0o755)
    chownSync(certificates.key, Number(execFileSync('id', ['-u', 'postgres'])), 0)
  }
  const tls =
    certificates === undefined
      ? {}
      : { ssl: 'on', ssl_cert_file: certificates.certificate, ssl_key_file: certificates.key }
  postgres = await startPostgres({ settings: tls })
})
afterEach(async () => {
  for (const server of running.splice(0)) await server.kill()
})
afterAll(async () => {
  await postgres.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function start(...args: readonly string[]): Promise<RunningServer> {
  const server = await startServer(['--store', postgres.url, ...args])
  running.push(server)
  return server
}

function put(server: RunningServer): Promise<Response> {
  const headers = { 'content-type': 'application/json' }
  return fetch(`${server.url}/v1/documents/a`, { method: 'PUT', headers, body: '{"n":1}' })
}

test('deployments in two schemas do not see each other, with a pool of one', async () => {
  const one = await start('--postgres-schema', 'one', '--postgres-connections', '1')
  const two = await start('--postgres-schema', 'two', '--postgres-connections', '1')
  expect((await put(one)).status).toBe(200)
  expect((await fetch(`${one.url}/v1/documents/a`)).status).toBe(200)
  expect((await fetch(`${two.url}/v1/documents/a`)).status).toBe(404)
})

test.skipIf(openssl === undefined)(
  openssl === undefined
    ? 'certificates (skipped: there is no openssl)'
    : 'certificates: only the authority that is named is trusted',
  async () => {
    const server = await start('--store-ca', certificates?.ca ?? '')
    expect((await put(server)).status).toBe(200)
    // A certificate that has signed nothing.
    await expect(start('--store-ca', certificates?.certificate ?? '')).rejects.toThrow(/--store-ca/)
  },
)
