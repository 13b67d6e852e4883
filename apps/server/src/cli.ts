#!/usr/bin/env node
import { demo } from './demo.ts'
import { helpOf, isCommand, version } from './help.ts'
import { importDocuments } from './import.ts'
import { keys } from './keys.ts'
import type { Environment } from './option-sources.ts'
import { restored } from './restored.ts'
import { serve } from './serve.ts'
import { StartError } from './start-error.ts'
import { token } from './token.ts'
import { UsageError } from './usage-error.ts'

const exitCode = await main(process.argv.slice(2), process.env)
// Whatever still hangs in the event loop (a store that does not answer) must not keep a finished program alive; what was
// said must get out first.
process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)))

/** Runs a command to its end. Exit codes: 0 done, 1 it failed, 2 it was called wrongly. */
async function main(args: readonly string[], env: Environment): Promise<number> {
  const [command, ...rest] = args
  if (command === '--version' || command === '-v') return say(version())
  if (command === undefined || command === 'help' || command === '--help' || command === '-h')
    return say(helpOf(rest[0]))
  try {
    if (!isCommand(command)) throw new UsageError(`Unknown command "${command}".`)
    if (rest.includes('--help') || rest.includes('-h')) return say(helpOf(command))
    switch (command) {
      case 'serve':
        return await serve(rest, env)
      case 'demo':
        return await demo(rest, env)
      case 'token':
        return await token(rest, env)
      case 'keys':
        return keys(rest)
      case 'import':
        return await importDocuments(rest, env)
      case 'restored':
        return await restored(rest, env)
    }
  } catch (error) {
    if (error instanceof UsageError) {
      const about = isCommand(command) ? ` ${command}` : ''
      process.stderr.write(`polyphony: ${error.message} Try: polyphony help${about}\n`)
      return 2
    }
    if (error instanceof StartError) {
      process.stderr.write(`polyphony: ${error.message}\n`)
      return 1
    }
    throw error
  }
}

function say(text: string): number {
  process.stdout.write(`${text}\n`)
  return 0
}
