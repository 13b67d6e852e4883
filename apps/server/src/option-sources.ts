import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { parseFlags } from './flags.ts'
import { optionNames, optionSpec, type OptionName } from './options.ts'
import { UsageError } from './usage-error.ts'

/** What somebody set, and where, for error messages. */
export interface Setting {
  readonly values: readonly string[]
  readonly source: string
}

export type Settings = Readonly<Partial<Record<OptionName, Setting>>>
export type Environment = Readonly<Record<string, string | undefined>>

/** Gathers what is set: flags win over the environment, the environment over the configuration file. */
export function readSettings(args: readonly string[], env: Environment): Settings {
  const flags = readFlags(args)
  const environment = readEnvironment(env)
  const path = (flags.config ?? environment.config)?.values[0]
  const file = path === undefined ? {} : readFile(path)
  return { ...file, ...environment, ...flags }
}

function readFlags(args: readonly string[]): Settings {
  const options = Object.fromEntries(
    optionNames.map((name) => [optionSpec(name).flag, { type: 'string', multiple: true } as const]),
  )
  const { values, positionals } = parseFlags(() =>
    parseArgs({ args: [...args], options, allowPositionals: true }),
  )
  if (positionals[0] !== undefined) throw new UsageError(`Unexpected argument "${positionals[0]}".`)
  const settings: Partial<Record<OptionName, Setting>> = {}
  for (const name of optionNames) {
    const spec = optionSpec(name)
    const given = values[spec.flag]
    if (given === undefined) continue
    if (given.length > 1 && spec.many === undefined)
      throw new UsageError(`--${spec.flag} was given ${given.length} times; it takes one value.`)
    settings[name] = { values: given, source: `--${spec.flag}` }
  }
  return settings
}

function readEnvironment(env: Environment): Settings {
  const settings: Partial<Record<OptionName, Setting>> = {}
  for (const name of optionNames) {
    const spec = optionSpec(name)
    const text = env[spec.env]
    // An empty variable is how compose files and shells say "not set".
    if (text === undefined || text === '') continue
    const values = spec.many === true ? text.split(',').map((part) => part.trim()) : [text]
    settings[name] = { values, source: spec.env }
  }
  return settings
}

function readFile(path: string): Settings {
  const members = parseFile(path)
  const settings: Partial<Record<OptionName, Setting>> = {}
  const byMember = new Map(optionNames.map((name) => [optionSpec(name).file, name]))
  byMember.delete('')
  for (const [member, value] of Object.entries(members)) {
    const name = byMember.get(member)
    if (name === undefined) {
      const known = [...byMember.keys()].join(', ')
      throw new UsageError(`Unknown member "${member}" in ${path}. Known: ${known}.`)
    }
    settings[name] = { values: textsOf(name, value, path), source: `"${member}" in ${path}` }
  }
  return settings
}

function parseFile(path: string): Readonly<Record<string, unknown>> {
  let content: unknown
  try {
    content = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new UsageError(`The configuration file ${path} cannot be read: ${message}`)
  }
  if (!isRecord(content)) throw new UsageError(`The configuration file ${path} must hold a JSON object.`)
  return content
}

/** What the file has as an object of numbers. */
const numbered: ReadonlySet<OptionName> = new Set(['limits', 'history', 'checkpoints'])

/** File values as the flags would give them: numbers as text, lists as repeated values, objects as `name=number`. */
function textsOf(name: OptionName, value: unknown, path: string): string[] {
  const spec = optionSpec(name)
  if (name === 'projections' || name === 'agents') return [JSON.stringify(value)]
  const entries =
    numbered.has(name) && isRecord(value)
      ? Object.entries(value).map(([limit, number]) => `${limit}=${String(number)}`)
      : value
  const list: unknown[] = spec.many === true && Array.isArray(entries) ? entries : [entries]
  if (list.every((item) => typeof item === 'string' || typeof item === 'number')) return list.map(String)
  throw new UsageError(
    `"${spec.file}" in ${path} has the wrong type; see the documentation of --${spec.flag}.`,
  )
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
