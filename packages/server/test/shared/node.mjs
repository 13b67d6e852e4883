// A server in a process of its own, from what `pnpm build` made, on the shared store that its argument names; the test
// kills it.
import { resolveLimits } from '@polyphony/core'
import { createPolyphonyServer } from '@polyphony/server'
import { openPostgresBus, openPostgresStore } from '@polyphony/storage-postgres'
import { openRedisBus, openRedisStore } from '@polyphony/storage-redis'

/** @type {import('./node-process.ts').NodeSettings} */
const { kind, url: address, place, agents = {}, limits } = JSON.parse(process.argv[2] ?? '{}')
const [store, bus] =
  kind === 'redis'
    ? await Promise.all([
        openRedisStore(address, { prefix: place }),
        openRedisBus(address, { prefix: place }),
      ])
    : await Promise.all([
        openPostgresStore(address, { schema: place }),
        openPostgresBus(address, { schema: place }),
      ])
const { url } = await createPolyphonyServer({ store, bus, port: 0, agents, limits: resolveLimits(limits) })
process.send?.({ url })
