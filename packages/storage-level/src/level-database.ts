import { PolyphonyError, isPolyphonyError, type Logger } from '@polyphony/core'
import type { AbstractLevel, AbstractSnapshot } from 'abstract-level'
import type { Key, KeyRange } from './keys.ts'

/** Any database of the `level` family whose native format is bytes. */
export type AnyLevel = AbstractLevel<string | Buffer | Uint8Array, unknown, unknown>

export type Operation =
  | { readonly type: 'put'; readonly key: Key; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Key }

export type Snapshot = AbstractSnapshot | undefined

const encodings = { keyEncoding: 'view', valueEncoding: 'view' } as const

/**
 * The one place that touches the database. A write that failed leaves LevelDB's own log in an unknown state: what is
 * written after a torn record could be dropped by the next recovery, although it was acknowledged. So after a failure
 * nothing more is written until the database has been closed and opened again, which recovers the log up to the tear.
 * Opening needs some space, so on a full disk reads fail, too, from the first attempt to write again until there is space.
 *
 * A browser may take the database away (site data are cleared). It would be empty when opened again, and what is cached of
 * the old one wrong, so from then on everything fails: the store has to be opened anew.
 */
export class LevelDatabase {
  readonly #level: AnyLevel
  readonly #logger: Logger
  readonly #closed: () => void
  #broken = false
  #taken: PolyphonyError | undefined
  #recovering: Promise<void> | undefined

  /** @param closed is called once the database is closed for good. */
  constructor(level: AnyLevel, logger: Logger, closed: () => void = () => undefined) {
    this.#level = level
    this.#logger = logger
    this.#closed = closed
  }

  /** `store-locked` when another process has it open, `store-failed` for everything else. */
  async open(): Promise<void> {
    await translate(() => this.#level.open())
  }

  /** Whether the browser took it away. */
  get isTaken(): boolean {
    return this.#taken !== undefined
  }

  async close(): Promise<void> {
    try {
      await translate(() => this.#level.close())
    } finally {
      this.#closed()
    }
  }

  /** Writes all or nothing, in one call at a time. Rejects with `store-failed`: then it is not known which. */
  async batch(operations: readonly Operation[], sync: boolean): Promise<void> {
    await this.#writable()
    try {
      // The member is LevelDB's; other databases of the family ignore it.
      const options: { keyEncoding: 'view'; valueEncoding: 'view'; sync: boolean } = { ...encodings, sync }
      await this.#call(() => this.#level.batch<Key, Uint8Array>([...operations], options))
    } catch (error) {
      this.#broken = true
      throw error
    }
  }

  async get(key: Key, snapshot?: Snapshot): Promise<Uint8Array | undefined> {
    await this.#readable()
    return await this.#call(() => this.#level.get<Key, Uint8Array>(key, { ...encodings, snapshot }))
  }

  /** The first `limit` keys of a range. */
  async keys(range: KeyRange, limit: number, snapshot?: Snapshot): Promise<readonly Key[]> {
    await this.#readable()
    const options = { keyEncoding: 'view', gte: range.from, lt: range.to, limit, snapshot } as const
    const iterator = this.#level.keys<Key>(options)
    return await this.#call(() => iterator.all())
  }

  /** Pairs of a range in order, some hundred KB at a time. */
  async *pairs(range: KeyRange, snapshot?: Snapshot): AsyncGenerator<readonly [Key, Uint8Array]> {
    await this.#readable()
    // `highWaterMarkBytes` is LevelDB's; the default of 16 KB costs a turn of the loop per block.
    const options = {
      ...encodings,
      gte: range.from,
      lt: range.to,
      snapshot,
      highWaterMarkBytes: readAheadBytes,
    }
    // IndexedDB has only the number of pairs to go by: with chunks of 256 KB, 16 MB.
    const pairsAtOnce = this.#level.supports.explicitSnapshots ? readAheadPairs : 64
    const iterator = this.#level.iterator<Key, Uint8Array>(options)
    try {
      for (;;) {
        const pairs = await this.#call(() => iterator.nextv(pairsAtOnce))
        if (pairs.length === 0) return
        yield* pairs
      }
    } finally {
      await iterator.close()
    }
  }

  /** A view that later writes do not change, where the database has such a thing. Close it. */
  async snapshot(): Promise<Snapshot> {
    await this.#readable()
    return this.#level.supports.explicitSnapshots ? this.#level.snapshot() : undefined
  }

  async #call<Value>(call: () => Promise<Value>): Promise<Value> {
    try {
      return await translate(call)
    } catch (error) {
      if (isPolyphonyError(error) && error.details.extra?.['reason'] === 'InvalidStateError')
        this.#taken = error
      throw error
    }
  }

  /** Reads go on after a failed write, as long as the database is open. */
  async #readable(): Promise<void> {
    if (this.#taken !== undefined) throw this.#taken
    while (this.#broken && this.#level.status !== 'open') await this.#recover()
  }

  async #writable(): Promise<void> {
    if (this.#taken !== undefined) throw this.#taken
    while (this.#broken) await this.#recover()
  }

  #recover(): Promise<void> {
    this.#recovering ??= this.#reopen().finally(() => {
      this.#recovering = undefined
    })
    return this.#recovering
  }

  async #reopen(): Promise<void> {
    await translate(() => this.#level.close())
    await translate(() => this.#level.open())
    this.#broken = false
    this.#logger.info({}, 'the database was opened again after a failed write')
  }
}

const readAheadBytes = 512 << 10
const readAheadPairs = 1000

/** Damage that the database itself found, with the document named that it was found in. */
export function nameDocument(error: unknown, documentId: string): unknown {
  if (!isPolyphonyError(error) || error.code !== 'store-corrupt' || error.details.documentId !== undefined)
    return error
  return new PolyphonyError(
    'store-corrupt',
    `Stored bytes of "${documentId}" are damaged. ${error.message}`,
    {
      documentId,
      cause: error,
    },
  )
}

async function translate<Value>(call: () => Promise<Value>): Promise<Value> {
  try {
    return await call()
  } catch (error) {
    throw levelError(error)
  }
}

/** What an error of the database means in our words. */
function levelError(error: unknown): PolyphonyError {
  if (isPolyphonyError(error)) return error
  const codes = [...causes(error)].map((cause) => ('code' in cause ? cause.code : undefined))
  const message = [...causes(error)].map((cause) => cause.message).at(-1) ?? String(error)
  if (codes.includes('LEVEL_LOCKED')) {
    return new PolyphonyError(
      'store-locked',
      'The database is already open, in another process or in this one: stop that first. Only one may write to it.',
      { cause: error },
    )
  }
  if (codes.includes('LEVEL_CORRUPTION'))
    return new PolyphonyError('store-corrupt', `The database is damaged: ${message}`, { cause: error })
  if (codes.includes('LEVEL_SNAPSHOT_NOT_OPEN') || codes.includes('LEVEL_ITERATOR_NOT_OPEN')) {
    const text = 'The database was opened again after a failed write while this was read: read again.'
    return new PolyphonyError('store-failed', text, { cause: error })
  }
  const reason = browserFailures.find(({ name }) => [...causes(error)].some((cause) => cause.name === name))
  if (reason === undefined)
    return new PolyphonyError('store-failed', `The database failed: ${message}`, { cause: error })
  const text = `IndexedDB ${reason.says} (${reason.name}): ${message}`
  return new PolyphonyError('store-failed', text, { cause: error, extra: { reason: reason.name } })
}

/** By the name of the `DOMException`; it is in `details.extra.reason` for those who treat one of them apart. */
const browserFailures = [
  { name: 'QuotaExceededError', says: 'has no room left for this site: delete something, or ask for more' },
  { name: 'AbortError', says: 'gave the write up' },
  {
    name: 'InvalidStateError',
    says: 'took the database away, as when site data are cleared: open the store again',
  },
  { name: 'UnknownError', says: 'could not reach the disk' },
] as const

function* causes(error: unknown): Iterable<Error> {
  for (let cause = error; cause instanceof Error; cause = cause.cause) yield cause
}
