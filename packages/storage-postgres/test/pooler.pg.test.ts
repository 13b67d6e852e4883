import type { Logger } from '@polyphony/core'
import { openPostgresStore, type PostgresStoreOptions } from '@polyphony/storage-postgres'
import {
  appendTo,
  contractTests,
  defineContractTests,
  readTexts,
  sampleEntries,
  type StoreHarness,
} from '@polyphony/storage/testing'
import { hasPgbouncer, startPgbouncer, startPostgres } from '@polyphony/test-services'
import { afterAll, describe, expect, test, vi } from 'vitest'

const missing = hasPgbouncer() ? '' : ': left out, there is no pgbouncer (apt-get install pgbouncer)'
const postgres = missing === '' ? await startPostgres() : undefined
const pooler = postgres === undefined ? undefined : await startPgbouncer(postgres)
afterAll(async () => {
  await pooler?.stop()
  await postgres?.stop()
})

let places = 0
const isLong = process.env['POLYPHONY_SOAK'] === '1'
/** The short tier leaves out what has nothing to do with connections. */
const chosenTests = contractTests.filter(({ id }) => isLong || /^(append|subscribe|delete|create)/.test(id))

function open(schema: string, listen: boolean, options: PostgresStoreOptions = {}) {
  const address = new URL(pooler?.url ?? '')
  if (listen) address.searchParams.set('listen', `127.0.0.1:${postgres?.port}`)
  return openPostgresStore(address.href, { schema, pollMs: 200, connectionsMax: 4, ...options })
}

describe.skipIf(missing !== '')(`behind a pooler with a connection per transaction${missing}`, () => {
  const harness: StoreHarness = {
    createPlace: async () => {
      const schema = `pooled_${++places}`
      return {
        open: ({ retention } = {}) => open(schema, true, { retention, pollMs: 5_000 }),
        remove: async () => undefined,
      }
    },
  }
  if (missing === '') {
    describe('and LISTEN at the server itself, the store keeps the contract', () =>
      defineContractTests({ test, skip: test.skip }, harness, chosenTests, { runs: 3 }))
  }

  test('without an address for LISTEN it says that notifications do not arrive, and finds edits by looking', async () => {
    const warnings: string[] = []
    const [writer, reader] = [
      await open('silent', false),
      await open('silent', false, { logger: hear(warnings) }),
    ]
    const heard: number[] = []
    await reader.subscribe('doc', 0, (entries) => heard.push(...entries.map(({ revision }) => revision)))
    await appendTo(writer, 'doc', sampleEntries(3))
    await appendTo(writer, 'doc', sampleEntries(2))
    await vi.waitFor(() => expect(heard).toEqual([1, 2, 3, 4, 5]), { timeout: 20_000, interval: 20 })
    await vi.waitFor(
      () => expect(warnings).toContainEqual(expect.stringMatching(/do not arrive.*listen=HOST/)),
      {
        timeout: 20_000,
        interval: 50,
      },
    )
    await writer.close()
    await reader.close()
  })

  test('with one, notifications arrive and nothing is said', async () => {
    const warnings: string[] = []
    const options = { logger: hear(warnings), pollMs: 1e9 }
    const [writer, reader] = [await open('heard', true), await open('heard', true, options)]
    const heard: number[] = []
    await reader.subscribe('doc', 0, (entries) => heard.push(...entries.map(({ revision }) => revision)))
    for (let round = 1; round <= 20; round++) {
      await appendTo(writer, 'doc', sampleEntries(1))
      await vi.waitFor(() => expect(heard.at(-1)).toBe(round), { timeout: 20_000, interval: 2 })
    }
    expect(warnings.filter((warning) => warning.includes('notifications'))).toEqual([])
    await writer.close()
    await reader.close()
  })

  test('deployments in two schemas that share its connections never run each other’s statements', async () => {
    const stores = await Promise.all(['one', 'two'].map((schema) => open(schema, true)))
    await Promise.all(
      Array.from({ length: 40 }, (_, round) =>
        Promise.all(
          stores.map((store, index) => appendTo(store, `doc${round % 5}`, sampleEntries(1, `${index}:`))),
        ),
      ),
    )
    for (const [index, store] of stores.entries()) {
      for (let document = 0; document < 5; document++)
        expect(await readTexts(store, `doc${document}`)).toEqual(
          Array.from({ length: 8 }, () => `${index}:1`),
        )
      await store.close()
    }
  })
})

/** A logger that keeps its warnings. */
function hear(warnings: string[]): Logger {
  const silent = (): void => undefined
  const warn: Logger['warn'] = (_fields, message) => void warnings.push(message)
  return { debug: silent, info: silent, warn, error: silent }
}
