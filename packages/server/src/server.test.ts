import { limitTable, resolveLimits } from '@polyphony/core'
import { MemoryStore } from '@polyphony/storage'
import { expect, test } from 'vitest'
import { createPolyphonyServer } from './server.ts'

test('the metrics tell every limit', async () => {
  const limits = resolveLimits({ connectionsMax: 17 })
  const server = await createPolyphonyServer({ store: new MemoryStore(), port: 0, limits })
  const metrics = await (await fetch(`${server.url}/metrics`)).text()
  for (const name of Object.keys(limitTable))
    expect(metrics).toContain(`polyphony_limit{name="${name}"} ${limits[name as keyof typeof limits]}\n`)
  await server.close()
})
