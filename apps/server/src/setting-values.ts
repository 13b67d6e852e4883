import { Expected } from './expected.ts'
import type { Setting } from './option-sources.ts'
import { UsageError } from './usage-error.ts'

/** The value of a setting that takes one. Throws a `UsageError` that names where a bad one came from. */
export function parseValue<T>(setting: Setting | undefined, parser: (text: string) => T): T | undefined {
  return parseValues(setting, parser)[0]
}

export function parseValues<T>(setting: Setting | undefined, parser: (text: string) => T): T[] {
  if (setting === undefined) return []
  return setting.values.map((value) => {
    try {
      return parser(value)
    } catch (error) {
      if (error instanceof Expected) throw new UsageError(`${setting.source}: ${error.message}`)
      throw error
    }
  })
}

export function parseSwitch(text: string): boolean {
  if (text === 'on' || text === 'true') return true
  if (text === 'off' || text === 'false') return false
  throw new Expected(`"${text}" is neither on nor off.`)
}

/** A parser of whole numbers within bounds. */
export function wholeNumber(unit: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text)
    if (/^\d+$/.test(text) && number >= min && number <= max) return number
    throw new Expected(`"${text}" is not a number of ${unit} from ${min} to ${max}.`)
  }
}

/** Pairs `NAME=NUMBER` over the defaults, whose names are the only ones. */
export function parseNumbers<Name extends string>(
  setting: Setting | undefined,
  defaults: Readonly<Record<Name, number>>,
): Readonly<Record<Name, number>> {
  const names = Object.keys(defaults) as Name[]
  const pairs = parseValues(setting, (text): readonly [Name, number] => {
    const [, given, number] = /^([^=]+)=(\d+)$/.exec(text) ?? []
    const name = names.find((known) => known === given)
    if (name === undefined || !Number.isSafeInteger(Number(number)))
      throw new Expected(`"${text}" is not NAME=NUMBER; the names are ${names.join(', ')}.`)
    return [name, Number(number)]
  })
  return { ...defaults, ...Object.fromEntries(pairs) }
}
