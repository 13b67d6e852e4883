import { UsageError } from './usage-error.ts'

/** Runs `parseArgs`; what it objects to becomes a `UsageError` of one line. */
export function parseFlags<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    // parseArgs explains itself over several lines; the first says what is wrong.
    const message = error instanceof Error ? error.message : String(error)
    throw new UsageError(message.split(/\. |\n/)[0]?.replace(/\.?$/, '.') ?? message)
  }
}
