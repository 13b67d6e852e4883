import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { generateKeyLine, parseKeyRing } from '@polyphony/storage/node'
import { UsageError } from './usage-error.ts'

/**
 * `polyphony keys generate [ID]` prints a line for a key ring; `polyphony keys list FILE` tells the ids of one, the
 * primary first, and never the keys. Returns the exit code.
 */
export function keys(args: readonly string[]): number {
  const { positionals, values } = parse(args)
  const [action, argument] = positionals
  if (action === 'generate' && positionals.length <= 2) {
    const id = argument ?? `k-${new Date().toISOString().slice(0, 10)}`
    if (!/^[\w-]{1,64}$/.test(id))
      throw new UsageError(`"${id}" is no key id: letters, digits, - and _, at most 64.`)
    const line = `${generateKeyLine(id)}\n`
    if (values.append === undefined) process.stdout.write(line)
    else appendToRing(values.append, id, line)
    return 0
  }
  if (action === 'list' && argument !== undefined && positionals.length === 2) {
    const ring = readRing(argument)
    for (const id of ring.keyIds)
      process.stdout.write(`${id}${id === ring.primaryKeyId ? '  (primary)' : ''}\n`)
    return 0
  }
  throw new UsageError('Say "polyphony keys generate [ID] [--append FILE]" or "polyphony keys list FILE".')
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: { append: { type: 'string' } }, allowPositionals: true })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

/** A line is added to a whole ring only: one that could not be read afterwards would keep every node from starting. */
function appendToRing(file: string, id: string, line: string): void {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
  if (text.trim() !== '' && readRing(file).keyIds.includes(id))
    throw new UsageError(`${file} has a key "${id}" already: name the new one, "polyphony keys generate ID".`)
  appendFileSync(file, text === '' || text.endsWith('\n') ? line : `\n${line}`, { mode: 0o600 })
}

function readRing(file: string) {
  try {
    return parseKeyRing(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new UsageError(`${file} is no key ring: ${error instanceof Error ? error.message : String(error)}.`)
  }
}
