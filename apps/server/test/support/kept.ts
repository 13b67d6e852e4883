import { expect } from 'vitest'
import { startServer } from './running-server.ts'

/** Writes to a document, kills the server, starts it again on the same store, and expects what was acknowledged. */
export async function expectKeptThroughKill(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<void> {
  const first = await startServer(args, env)
  try {
    for (let n = 0; n < 20; n++) {
      const response = await fetch(`${first.url}/v1/documents/kept`, {
        method: 'PATCH',
        headers: { 'content-type': 'application/json-patch+json' },
        body: JSON.stringify([{ op: 'add', path: `/n${n}`, value: `confidential ${n}` }]),
      })
      expect(response.status, await response.text()).toBe(200)
    }
    expect(first.lines.join('\n')).not.toContain('hunter2')
  } finally {
    await first.kill()
  }
  const second = await startServer(args, env)
  try {
    const response = await fetch(`${second.url}/v1/documents/kept`)
    const state: unknown = await response.json()
    expect(state).toEqual(
      Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`n${n}`, `confidential ${n}`])),
    )
    expect(await second.terminate()).toBe(0)
  } finally {
    await second.kill()
  }
}
