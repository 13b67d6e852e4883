import type { LogPosition } from '@polyphony/storage'
import { payloadBytesMax, type PostgresNotifier } from './postgres-notifier.ts'

/*
 * What nodes tell each other of documents: lines of `incarnation revision documentId`. Ids have no line breaks in them.
 * `- 0` for the first two: something else than an append.
 */

/** Tells other nodes which documents changed, and hears it from them. */
export class ChangeFeed {
  readonly channel: string
  readonly #notifier: PostgresNotifier
  #lines: string[] = []

  constructor(schema: string, notifier: PostgresNotifier) {
    this.channel = `polyphony ${schema} changes`
    this.#notifier = notifier
  }

  /** To be sent with what else is announced in this turn. */
  announce(documentId: string, at?: LogPosition): void {
    const line = `${at?.incarnation ?? '-'} ${at?.revision ?? 0} ${documentId}`
    if (this.#lines.push(line) > 1) return
    queueMicrotask(() => {
      const lines = this.#lines
      this.#lines = []
      this.#notifier.notify(this.channel, join(lines))
    })
  }

  /** Calls `changed` for each document of a notification. */
  static parse(payload: string, changed: (documentId: string, at: LogPosition | undefined) => void): void {
    for (const line of payload.split('\n')) {
      const [incarnation = '-', revision = '0', ...rest] = line.split(' ')
      const documentId = rest.join(' ')
      changed(documentId, incarnation === '-' ? undefined : { incarnation, revision: Number(revision) })
    }
  }
}

/** The lines in as few payloads as they fit into. */
function join(lines: readonly string[]): readonly string[] {
  const payloads: string[] = []
  let current = ''
  for (const line of lines) {
    const longer = current === '' ? line : `${current}\n${line}`
    if (Buffer.byteLength(longer) <= payloadBytesMax) {
      current = longer
      continue
    }
    payloads.push(current)
    current = line
  }
  return [...payloads, current]
}
