import { resolve } from 'node:path'
import { isFixedLimit, limitTable, resolveLimits, type LimitName, type Limits } from '@polyphony/core'
import { defaultCheckpointPolicy, type CheckpointPolicy } from '@polyphony/server'
import { parseAgents, type Agents } from './agents.ts'
import { Expected } from './expected.ts'
import type { Setting, Settings } from './option-sources.ts'
import { optionSpec, type OptionName } from './options.ts'
import { parseProjections, type Projections } from './projections.ts'
import { parseNumbers, parseValue, parseValues } from './setting-values.ts'
import { parseStoreLocation, type StoreLocation } from './store-location.ts'
import { parseStoreSettings, type StoreSettings } from './store-settings.ts'
import { UsageError } from './usage-error.ts'

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

/** How a server is to run; everything is checked. */
export interface Configuration {
  readonly host: string
  readonly port: number
  readonly store: StoreLocation
  readonly storage: StoreSettings
  /** When the log of a document becomes a checkpoint. */
  readonly checkpoints: CheckpointPolicy
  readonly authSecret?: string | undefined
  readonly origins: readonly string[]
  /** Absent: what the server's default is. */
  readonly hosts?: 'any' | readonly string[] | undefined
  readonly site?: string | undefined
  readonly logLevel: LogLevel
  readonly limits: Limits
  readonly projections: Projections
  readonly agents: Agents
}

/**
 * Checks settings and fills in defaults; `defaults` take the place of the table's. Throws `UsageError` with a line that
 * names where the bad value came from.
 */
export function parseConfiguration(
  settings: Settings,
  defaults: Readonly<Partial<Record<OptionName, string>>> = {},
): Configuration {
  const text = (name: OptionName): Setting | undefined => {
    const given = settings[name]
    if (given !== undefined) return given
    const value = defaults[name] ?? optionSpec(name).default
    return value === undefined ? undefined : { values: [value], source: 'the default' }
  }
  const configuration: Configuration = {
    host: parseValue(text('host'), parseHost) ?? '127.0.0.1',
    port: parseValue(text('port'), parsePort) ?? 0,
    store: parseValue(text('store'), parseStoreLocation) ?? { kind: 'memory' },
    storage: parseStoreSettings(text),
    checkpoints: parseNumbers(text('checkpoints'), defaultCheckpointPolicy),
    authSecret: parseValue(text('authSecret'), parseSecret),
    origins: parseValues(text('origins'), parseOrigin),
    hosts: parseHosts(settings.hosts),
    site: parseValue(text('site'), (directory) => resolve(directory)),
    logLevel: parseValue(text('logLevel'), parseLogLevel) ?? 'info',
    limits: parseLimits(settings.limits),
    projections: parseValue(text('projections'), parseProjections) ?? parseProjections('[]'),
    agents: parseValue(text('agents'), parseAgents) ?? {},
  }
  if (configuration.authSecret === undefined && !isLoopback(configuration.host)) {
    throw new UsageError(
      `Not listening on ${configuration.host} without an auth secret: everybody on the network could read and write ` +
        'every document. Set POLYPHONY_AUTH_SECRET (or --auth-secret), or listen on 127.0.0.1.',
    )
  }
  return configuration
}

function parseHost(text: string): string {
  if (/^[^\s/:]+$/.test(text) || /^[\da-f:]+(%\w+)?$/i.test(text)) return text
  throw new Expected(`"${text}" is not an address to listen on, such as 127.0.0.1 or ::1.`)
}

function parsePort(text: string): number {
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port
  const hint = text.startsWith('tcp://')
    ? ' (Kubernetes sets this variable for a service named "polyphony": set enableServiceLinks to false)'
    : ''
  throw new Expected(`"${text}" is not a port from 0 to 65535${hint}.`)
}

function parseSecret(text: string): string {
  const bytes = Buffer.byteLength(text)
  if (bytes >= 32) return text
  throw new Expected(`the secret has ${bytes} bytes; it needs at least 32 (try: openssl rand -base64 32).`)
}

function parseOrigin(text: string): string {
  if (text === '*') return text
  const origin = URL.canParse(text) ? new URL(text).origin : 'null'
  if (origin !== 'null' && origin === text.replace(/\/$/, '').toLowerCase()) return origin
  throw new Expected(`"${text}" is not an origin, such as https://app.example (no path), or *.`)
}

function parseHosts(setting: Setting | undefined): Configuration['hosts'] {
  if (setting === undefined) return undefined
  if (setting.values.includes('*')) return 'any'
  return parseValues(setting, (text) => {
    if (/^(\[[\da-f:]+\]|[^\s/:]+)$/i.test(text)) return text.toLowerCase()
    throw new Expected(`"${text}" is not a host name (without port), or *.`)
  })
}

function parseLogLevel(text: string): LogLevel {
  const level = logLevels.find((known) => known === text)
  if (level !== undefined) return level
  throw new Expected(`"${text}" is not a log level: use ${logLevels.join(', ')}.`)
}

function parseLimits(setting: Setting | undefined): Limits {
  const pairs = parseValues(setting, (text): [LimitName, number] => {
    const [, name, number] = /^([^=]+)=(\d+)$/.exec(text) ?? []
    if (name === undefined || number === undefined || !Number.isSafeInteger(Number(number)))
      throw new Expected(`"${text}" is not NAME=NUMBER, such as bodyBytesMax=1048576.`)
    if (!isLimitName(name))
      throw new Expected(`there is no limit "${name}". Known: ${Object.keys(limitTable).join(', ')}.`)
    if (isFixedLimit(name))
      throw new Expected(`${name} is ${limitTable[name].default} everywhere; it cannot be changed.`)
    return [name, Number(number)]
  })
  return resolveLimits(Object.fromEntries(pairs))
}

function isLimitName(name: string): name is LimitName {
  return Object.hasOwn(limitTable, name)
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
}
