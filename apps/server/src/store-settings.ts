import { resolve } from 'node:path'
import { defaultRetention, type RetentionPolicy } from '@polyphony/storage'
import { Expected } from './expected.ts'
import type { Setting } from './option-sources.ts'
import type { OptionName } from './options.ts'
import { parseNumbers, parseSwitch, parseValue, parseValues, wholeNumber } from './setting-values.ts'
import { UsageError } from './usage-error.ts'

/** What becomes of documents on their way to the store and in it. */
export interface StoreSettings {
  /** Whether a write to `level:` waits until the disk has it. */
  readonly fsync: boolean
  readonly compress: boolean
  /** The file of a key ring, or `env:NAME` of a variable that holds one; documents are encrypted when it is there. */
  readonly encryptionKeys?: string | undefined
  /** Accepts a Redis or PostgreSQL that acknowledges what a crash may take back. */
  readonly allowVolatile: boolean
  /** A PEM file: who may vouch for the Redis or PostgreSQL. */
  readonly ca?: string | undefined
  /** For one command or statement. */
  readonly timeoutMs: number
  readonly connectTimeoutMs: number
  readonly levelCacheBytes: number
  readonly redis: RedisSettings
  readonly postgres: PostgresSettings
  /** How long what a checkpoint covers stays readable. */
  readonly history: RetentionPolicy
}

export interface RedisSettings {
  readonly prefix: string
  readonly sentinel?:
    | {
        readonly name: string
        readonly addresses: readonly { readonly host: string; readonly port: number }[]
        readonly password?: string | undefined
      }
    | undefined
  readonly waitReplicas?: { readonly count: number; readonly timeoutMs: number } | undefined
}

export interface PostgresSettings {
  readonly schema: string
  readonly connectionsMax: number
}

/** Reads them from what is set, or stands in the table as default. Throws `UsageError`. */
export function parseStoreSettings(text: (name: OptionName) => Setting | undefined): StoreSettings {
  return {
    fsync: parseValue(text('fsync'), parseSwitch) ?? true,
    compress: parseValue(text('compress'), parseSwitch) ?? false,
    encryptionKeys: parseValue(text('encryptionKeys'), (place) =>
      place.startsWith('env:') ? place : resolve(place),
    ),
    allowVolatile: parseValue(text('allowVolatile'), parseSwitch) ?? false,
    ca: parseValue(text('storeCa'), (file) => resolve(file)),
    timeoutMs: parseValue(text('storeTimeout'), parseTimeout) ?? 10_000,
    connectTimeoutMs: parseValue(text('storeConnectTimeout'), parseTimeout) ?? 5_000,
    levelCacheBytes: parseValue(text('levelCache'), wholeNumber('bytes', 0, 2 ** 40)) ?? 32 << 20,
    redis: {
      prefix: parseValue(text('redisPrefix'), parsePrefix) ?? 'polyphony',
      sentinel: parseSentinel(text),
      waitReplicas: parseWaitReplicas(text),
    },
    postgres: {
      schema: parseValue(text('postgresSchema'), parseSchema) ?? 'polyphony',
      connectionsMax: parseValue(text('postgresConnections'), wholeNumber('connections', 1, 1_000)) ?? 8,
    },
    history: parseNumbers(text('history'), defaultRetention),
  }
}

const parseTimeout = wholeNumber('milliseconds', 1, 3_600_000)

function parsePrefix(text: string): string {
  if (/^[^\s{}]{1,100}$/.test(text)) return text
  throw new Expected(`"${text}" is not a prefix of keys: 1 to 100 characters, no spaces, no braces.`)
}

function parseSchema(text: string): string {
  if (/^[a-z_][a-z0-9_]{0,39}$/.test(text)) return text
  throw new Expected(`"${text}" is not a schema: 1 to 40 of a-z, 0-9 and _, not beginning with a digit.`)
}

function parseSentinel(text: (name: OptionName) => Setting | undefined): RedisSettings['sentinel'] {
  const name = text('redisSentinelName')
  const sentinels = text('redisSentinels')
  const password = text('redisSentinelPassword')?.values[0]
  if (name === undefined && sentinels === undefined) return undefined
  if (name === undefined)
    throw new UsageError(
      `${sentinels?.source}: by which name do they know the primary? See --redis-sentinel-name.`,
    )
  if (sentinels === undefined)
    throw new UsageError(`${name.source}: where are the Sentinels? See --redis-sentinel.`)
  const addresses = parseValues(sentinels, parseAddress)
  return { name: name.values[0] ?? '', addresses, ...(password === undefined ? {} : { password }) }
}

function parseAddress(text: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, digits = '26379'] =
    /^(?:\[([\da-f:]+)\]|([^\s:/@]+))(?::(\d+))?$/i.exec(text) ?? []
  const host = bracketed ?? plain
  const port = Number(digits)
  if (host !== undefined && port > 0 && port <= 65_535) return { host, port }
  throw new Expected(`"${text}" is not HOST:PORT, such as sentinel-1.example:26379.`)
}

function parseWaitReplicas(text: (name: OptionName) => Setting | undefined): RedisSettings['waitReplicas'] {
  const count = parseValue(text('redisWaitReplicas'), wholeNumber('replicas', 0, 100)) ?? 0
  const timeoutMs = parseValue(text('redisWaitTimeout'), parseTimeout) ?? 1_000
  return count === 0 ? undefined : { count, timeoutMs }
}
