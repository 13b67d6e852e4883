import { expect } from 'vitest'
import { runCommand } from './command.ts'
import { startServer } from './running-server.ts'

/** Writes a document, says that its store was put back, and expects the same state under versions that are new. */
export async function expectNewIncarnations(args: readonly string[]): Promise<void> {
  const before = await startServer(args)
  const json = { 'content-type': 'application/json' }
  let old = ''
  try {
    const address = `${before.url}/v1/documents/kept`
    const written = await fetch(address, { method: 'PUT', headers: json, body: '{"n":1}' })
    expect(written.status).toBe(200)
    old = written.headers.get('etag') ?? ''
  } finally {
    await before.kill()
  }

  const told = await runCommand(['restored', ...args])
  expect(told).toMatchObject({ code: 0, err: '' })
  expect(told.out).toMatch(/^1 documents of .* have new incarnations\.\n$/)

  const after = await startServer(args)
  try {
    const address = `${after.url}/v1/documents/kept`
    const read = await fetch(address)
    expect(await read.json()).toEqual({ n: 1 })
    expect(read.headers.get('etag')).toMatch(/^"\w+\.1"$/)
    expect(read.headers.get('etag')).not.toBe(old)
    const stale = await fetch(address, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json-patch+json', 'if-match': old },
      body: '[{"op":"add","path":"/n","value":2}]',
    })
    expect([409, 412]).toContain(stale.status)
    const fresh = await fetch(address, { method: 'PUT', headers: json, body: '{"n":3}' })
    expect(fresh.status).toBe(200)
  } finally {
    await after.kill()
  }
}
