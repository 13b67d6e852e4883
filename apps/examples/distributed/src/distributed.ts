#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { findBinary, startRedis } from '@polyphony/test-services'
import { isWhole, runStory, type Outcome } from './story.ts'

const usage = `Usage: pnpm --filter @polyphony/example-distributed start [--redis redis://HOST:PORT] [--orders 300]

Services on two nodes share state through one Redis; one node is killed under them, and everything is counted.
The Redis is that of --redis or REDIS_URL, else one that is started for the purpose.

Exit code: 0 when nothing was lost, done twice or seen differently; 1 otherwise; 2 for wrong options.`

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const options = parse(args)
  if (typeof options === 'number') return options
  try {
    const redis = await findRedis(options.redis)
    try {
      const outcome = await runStory({
        redis: redis.url,
        orders: options.orders,
        say: (line) => console.log(line),
      })
      console.log(`\n${report(outcome)}`)
      return isWhole(outcome) ? 0 : 1
    } finally {
      await redis.stop()
    }
  } catch (error) {
    console.error(`distributed: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  }
}

function report(outcome: Outcome): string {
  const { placed, packed, packedTwice, missing, stockError, differing, racesLost, resumed } = outcome
  return `  orders placed               ${placed}
  packed                      ${packed}
  packed twice                ${packedTwice}
  lost                        ${missing}
  errors in the stock         ${stockError}
  claims that others won      ${racesLost}
  feeds resumed elsewhere     ${resumed}
  seeing something else       ${differing.length === 0 ? 'nobody' : differing.join(', ')}

${isWhole(outcome) ? 'Nothing was lost, nothing was done twice, and all see the same.' : 'Something went wrong.'}`
}

async function findRedis(
  given: string | undefined,
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const url = given ?? process.env['REDIS_URL']
  if (url !== undefined && url !== '') return { url, stop: () => Promise.resolve() }
  if (findBinary('redis-server', 'valkey-server') === undefined)
    throw new Error(
      'There is no redis-server on this machine: install Redis or Valkey, or name one with --redis redis://HOST:PORT.',
    )
  return await startRedis()
}

/** The options, or the exit code. */
function parse(
  args: readonly string[],
): { readonly redis?: string | undefined; readonly orders: number } | number {
  try {
    const { values } = parseArgs({
      args: args.filter((arg) => arg !== '--'),
      options: {
        redis: { type: 'string' },
        orders: { type: 'string', default: '300' },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) {
      console.log(usage)
      return 0
    }
    const orders = Number(values.orders)
    if (!/^\d+$/.test(values.orders) || orders < 3 || orders > 3_000)
      throw new Error(`--orders is a number from 3 to 3000, not "${values.orders}".`)
    if (values.redis !== undefined && !/^rediss?:\/\//.test(values.redis))
      throw new Error('--redis is an address such as redis://localhost:6379.')
    return { redis: values.redis, orders }
  } catch (error) {
    console.error(`distributed: ${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    return 2
  }
}
