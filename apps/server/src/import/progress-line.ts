import type { Clock } from '@polyphony/core'
import type { ImportTotals } from './import-run.ts'

export interface Terminal {
  write(text: string): unknown
  /** Whether a line can be written over. */
  readonly isTTY?: boolean | undefined
}

/** How often it is written: at a terminal over itself, in a file as further lines. */
const terminalMs = 200
const fileMs = 10_000

/** Tells how far an import is, and how fast, on one line. */
export class ProgressLine {
  readonly #terminal: Terminal
  readonly #clock: Clock
  readonly #startedAtMs: number
  #shownAtMs: number
  #isShown = false

  constructor(terminal: Terminal, clock: Clock) {
    this.#terminal = terminal
    this.#clock = clock
    this.#startedAtMs = clock.now()
    this.#shownAtMs = this.#startedAtMs
  }

  update(totals: ImportTotals): void {
    const now = this.#clock.now()
    const isTerminal = this.#terminal.isTTY === true
    if (now - this.#shownAtMs < (isTerminal ? terminalMs : fileMs)) return
    this.#shownAtMs = now
    const text = progressText(totals, now - this.#startedAtMs)
    this.#terminal.write(isTerminal ? `\r\u001b[K${text}` : `${text}\n`)
    this.#isShown = isTerminal
  }

  /** Writes something else, on lines of its own. */
  interrupt(message: string): void {
    this.#terminal.write(`${this.#clearing()}${message}\n`)
  }

  end(): void {
    this.#terminal.write(this.#clearing())
  }

  #clearing(): string {
    const clearing = this.#isShown ? '\r\u001b[K' : ''
    this.#isShown = false
    return clearing
  }
}

function progressText({ seen, documents, bytes }: ImportTotals, elapsedMs: number): string {
  const seconds = Math.max(elapsedMs, 1) / 1000
  const rate = `${Math.round(seen / seconds).toLocaleString('en')} documents/s, ${formatBytes(bytes / seconds)}/s`
  return `${seen.toLocaleString('en')} of ${documents.toLocaleString('en')} documents, ${formatBytes(bytes)} (${rate})`
}

/** Bytes in the unit that fits, such as `3.4 MB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  const power = Math.min(Math.floor(Math.log(Math.max(bytes, 1)) / Math.log(1024)), units.length - 1)
  const value = bytes / 1024 ** power
  return `${power === 0 ? Math.round(value) : value.toFixed(1)} ${units[power]}`
}
