import { openPostgresStore } from '@polyphony/storage-postgres'
import {
  buildForChildren,
  KilledWriters,
  killSeed,
  seededRandom,
  startPostgres,
  type PostgresService,
} from '@polyphony/test-services'
import { afterAll, beforeAll, expect, test } from 'vitest'

const rounds = process.env['POLYPHONY_SOAK'] === '1' ? 30 : 5

let service: PostgresService
beforeAll(async () => {
  const [started] = await Promise.all([startPostgres(), buildForChildren(new URL('..', import.meta.url))])
  service = started
})
afterAll(() => service.stop())

test(
  `kill -9 of the writing process, ${rounds} rounds from seed ${killSeed}: every acknowledged entry is there, in its place, byte for byte`,
  { timeout: rounds * 20_000 },
  async () => {
    const options = { schema: 'kill', retention: { entries: 40, bytes: 2_000_000, ageMs: 3_600_000 } }
    const module = new URL('../dist/index.js', import.meta.url).href
    const writers = new KilledWriters({ module, open: 'openPostgresStore', address: service.url, options })
    const random = seededRandom(killSeed)
    // Another node, which has the store open all the time.
    const store = await openPostgresStore(service.url, options)
    for (let round = 1; round <= rounds; round++) {
      await writers.run(random() * 500)
      await writers.verify(store)
    }
    expect(writers.acknowledged).toBeGreaterThan(rounds * 20)
    await store.close()
  },
)
