import { isPolyphonyError, PolyphonyError } from '@polyphony/core'

const triesMax = 5

/**
 * For stores without snapshots: a read that deleting or trimming has overtaken (`overtakenRead`) begins again, as long as
 * it has given nothing yet; at most five times. What it has begun to give, the reader has to ask for again.
 */
export async function* readAgain<T>(readOnce: () => AsyncIterable<T>): AsyncGenerator<T> {
  for (let tries = 1; ; tries++) {
    let begun = false
    try {
      for await (const item of readOnce()) {
        begun = true
        yield item
      }
      return
    } catch (error) {
      if (begun || tries === triesMax || !isOvertaken(error)) throw error
    }
  }
}

/** What a read throws that finds gone what it was about to give. */
export function overtakenRead(documentId: string): PolyphonyError {
  return new PolyphonyError(
    'store-failed',
    `"${documentId}" was deleted or trimmed while it was read: read it again.`,
    { documentId, extra: { overtaken: true } },
  )
}

function isOvertaken(error: unknown): boolean {
  return isPolyphonyError(error) && error.details.extra?.['overtaken'] === true
}
