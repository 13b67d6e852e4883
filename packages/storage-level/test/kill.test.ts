import { openLevelStore } from '@polyphony/storage-level'
import { eventually } from '@polyphony/storage/testing'
import { KilledWriters, killSeed, seededRandom } from '@polyphony/test-services'
import { Level } from 'level'
import { beforeAll, expect, it } from 'vitest'
import { builtModule, buildPackage } from './support/build.ts'
import { findLeftovers } from './support/leftovers.ts'
import { withTemporaryDirectory } from './support/temporary-directory.ts'

const rounds = process.env['POLYPHONY_SOAK'] === '1' ? 200 : 5

beforeAll(buildPackage)

it(
  `kill -9 of the writing process, ${rounds} rounds from seed ${killSeed}: every acknowledged entry is there, in its place, byte for byte`,
  { timeout: rounds * 20_000 },
  async () => {
    await withTemporaryDirectory(async (directory) => {
      const random = seededRandom(killSeed)
      const writers = new KilledWriters({
        module: builtModule,
        open: 'openLevelStore',
        address: directory,
        options: {
          retention: { entries: 40, bytes: 2_000_000, ageMs: 3_600_000 },
          writeBufferBytes: 512 << 10,
        },
      })
      for (let round = 1; round <= rounds; round++) {
        // A quarter of the rounds hits the opening, where what the last crash left is taken up.
        await writers.run(random() * (round % 4 === 0 ? 30 : 500))
        const store = await openLevelStore(directory)
        await writers.verify(store)
        await store.close()
      }
      expect(writers.acknowledged).toBeGreaterThan(rounds * 20)
      const level = new Level<unknown, unknown>(directory)
      const store = await openLevelStore(level)
      await eventually(
        async () => (await findLeftovers(level)).length === 0,
        'what no document refers to is removed',
      )
      await store.close()
    })
  },
)
