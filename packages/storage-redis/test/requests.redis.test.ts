import { openRedisStore } from '@polyphony/storage-redis'
import { openFaultyLink, startRedis, tryEveryRequestFault } from '@polyphony/test-services'
import { afterAll, expect, test } from 'vitest'

const stride = process.env['POLYPHONY_SOAK'] === '1' ? 1 : 12
const redis = await startRedis()
const link = await openFaultyLink(redis.port)
afterAll(async () => {
  await link.close()
  await redis.stop()
})

let places = 0

function createPlace() {
  const prefix = `requests-${++places}`
  const options = {
    prefix,
    pollMs: 200,
    commandTimeoutMs: 300,
    connectTimeoutMs: 300,
    retention: { entries: 2, bytes: 1e9, ageMs: 1e12 },
  }
  return {
    openThroughLink: () => openRedisStore(`redis://127.0.0.1:${link.port}`, options),
    openDirectly: () => openRedisStore(redis.url, { ...options, commandTimeoutMs: 10_000 }),
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
