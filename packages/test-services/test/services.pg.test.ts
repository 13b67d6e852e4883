import { existsSync } from 'node:fs'
import { startPostgres, type PostgresService } from '@polyphony/test-services'
import { Client } from 'pg'
import { afterEach, expect, test } from 'vitest'

let service: PostgresService | undefined
afterEach(() => service?.stop())

test('a server answers, is killed, comes back with its data, and leaves nothing', async () => {
  service = await startPostgres()
  await ask(service, 'CREATE TABLE numbers AS SELECT 42 AS number')
  await service.process.kill()
  await expect(ask(service, 'SELECT 1')).rejects.toThrow(/ECONNREFUSED/)
  await service.process.restart()
  expect(await ask(service, 'SELECT number FROM numbers')).toEqual([{ number: 42 }])
  await service.stop()
  expect(existsSync(service.process.folder)).toBe(false)
})

test('pausing stops the connections that are open, resuming lets them go on', async () => {
  service = await startPostgres()
  const client = new Client(service.url)
  await client.connect()
  await service.process.pause()
  let answered = false
  const answer = client.query('SELECT 1 AS one').then(({ rows }) => {
    answered = true
    return rows
  })
  const other = await startPostgres()
  expect(await ask(other, 'SELECT 2 AS two')).toEqual([{ two: 2 }])
  await other.stop()
  expect(answered).toBe(false)
  await service.process.resume()
  expect(await answer).toEqual([{ one: 1 }])
  await client.end()
})

async function ask({ url }: PostgresService, query: string): Promise<unknown[]> {
  const client = new Client(url)
  await client.connect()
  try {
    return (await client.query(query)).rows
  } finally {
    await client.end()
  }
}
