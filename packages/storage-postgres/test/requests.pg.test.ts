import { openPostgresStore } from '@polyphony/storage-postgres'
import { openFaultyLink, startPostgres, tryEveryRequestFault } from '@polyphony/test-services'
import { afterAll, expect, test } from 'vitest'

const stride = process.env['POLYPHONY_SOAK'] === '1' ? 1 : 25
const postgres = await startPostgres()
const link = await openFaultyLink(postgres.port)
afterAll(async () => {
  await link.close()
  await postgres.stop()
})

let places = 0

function createPlace() {
  const schema = `requests_${++places}`
  const options = {
    schema,
    pollMs: 200,
    statementTimeoutMs: 300,
    connectTimeoutMs: 300,
    retention: { entries: 2, bytes: 1e9, ageMs: 1e12 },
  }
  return {
    openThroughLink: () => openPostgresStore(`postgres://polyphony@127.0.0.1:${link.port}/postgres`, options),
    openDirectly: () => openPostgresStore(postgres.url, { ...options, statementTimeoutMs: 10_000 }),
  }
}

test.each(['fail', 'hang', 'tear'] as const)(
  `whichever request goes wrong (%s, every ${stride}th), nothing acknowledged is lost and the store goes on`,
  { timeout: 600_000 },
  async (fault) => {
    const { requests, broken } = await tryEveryRequestFault(link, fault, { createPlace, stride })
    expect(requests).toBeGreaterThan(20)
    // Requests share pieces now and then, so that the last numbers may not come up.
    expect(broken).toBeGreaterThan((requests / stride) * 0.6)
  },
)
