import { PolyphonyError } from '@polyphony/core'
import { StoreWrapper } from '../index.ts'
import type {
  Append,
  AppendResult,
  Checkpoint,
  DocumentInfo,
  DocumentStore,
  Head,
  HeadCondition,
  ListQuery,
  LogEntry,
  ReadRange,
} from '../index.ts'

/**
 * How a call goes wrong, each within the contract:
 * - `fail`: nothing is done, and the call rejects with `store-failed`.
 * - `hang`: nothing is done, and the call does not settle until `release`.
 * - `tear`: it is done, and yet the call says `store-failed`. Of a batch of several documents every second one is written.
 *   A read or list breaks off after its first item.
 */
export type Fault = 'fail' | 'hang' | 'tear'

export interface StoreCall {
  readonly operation: 'append' | 'read' | 'checkpoint' | 'head' | 'list' | 'create' | 'delete'
  /** Over all operations, from 1. */
  readonly number: number
}

/** Decides for each call whether it goes wrong. */
export type FaultPlan = (call: StoreCall) => Fault | undefined

/** The call with this number goes wrong, alone or with all after it. */
export function faultAt(number: number, fault: Fault, { andAllAfter = false } = {}): FaultPlan {
  return (call) => (call.number === number || (andAllAfter && call.number > number) ? fault : undefined)
}

/** Calls go wrong at random, the same for the same seed. `probability` lies between 0 and 1. */
export function seededFaults(
  seed: number,
  {
    probability,
    faults = ['fail', 'tear'],
  }: { readonly probability: number; readonly faults?: readonly Fault[] },
): FaultPlan {
  let state = seed >>> 0
  const random = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return () => (random() < probability ? faults[Math.floor(random() * faults.length)] : undefined)
}

/** A store whose calls go wrong as planned. For tests of whatever uses a store. */
export function faulty(store: DocumentStore, plan: FaultPlan): FaultyStore {
  return new FaultyStore(store, plan)
}

export class FaultyStore extends StoreWrapper {
  readonly #plan: FaultPlan
  readonly #hanging: (() => void)[] = []
  #calls = 0
  #faults = 0

  constructor(inner: DocumentStore, plan: FaultPlan) {
    super(inner, 'faulty')
    this.#plan = plan
  }

  /** Calls so far. */
  get calls(): number {
    return this.#calls
  }

  /** Calls that went wrong so far: a test whose faults never came about proves nothing. */
  get faults(): number {
    return this.#faults
  }

  get hanging(): number {
    return this.#hanging.length
  }

  /** Lets hanging calls reject with `store-failed`. */
  release(): void {
    for (const reject of this.#hanging.splice(0)) reject()
  }

  override async append(batch: readonly Append[]): Promise<readonly AppendResult[]> {
    const fault = await this.#begin('append')
    if (fault === undefined) return await super.append(batch)
    if (batch.length === 1) {
      await super.append(batch)
      throw failure()
    }
    await super.append(batch.filter((_, index) => index % 2 === 0))
    return batch.map(() => ({ ok: false, error: failure() }))
  }

  override async *read(documentId: string, range?: ReadRange): AsyncIterable<Checkpoint | LogEntry> {
    const fault = await this.#begin('read')
    yield* brokenOff(super.read(documentId, range), fault)
  }

  override checkpoint(documentId: string, checkpoint: Checkpoint): Promise<void> {
    return this.#run('checkpoint', () => super.checkpoint(documentId, checkpoint))
  }

  override head(documentId: string): Promise<Head | undefined> {
    return this.#run('head', () => super.head(documentId))
  }

  override async *list(query?: ListQuery): AsyncIterable<DocumentInfo> {
    const fault = await this.#begin('list')
    yield* brokenOff(super.list(query), fault)
  }

  override create(documentId: string): Promise<Head> {
    return this.#run('create', () => super.create(documentId))
  }

  override delete(documentId: string, condition?: HeadCondition): Promise<void> {
    return this.#run('delete', () => super.delete(documentId, condition))
  }

  override close(): Promise<void> {
    this.release()
    return super.close()
  }

  async #run<Result>(operation: StoreCall['operation'], work: () => Promise<Result>): Promise<Result> {
    const fault = await this.#begin(operation)
    const result = await work()
    if (fault !== undefined) throw failure()
    return result
  }

  /** Rejects for the faults that do nothing; what remains is to be done, and for `tear` to be denied. */
  async #begin(operation: StoreCall['operation']): Promise<'tear' | undefined> {
    const fault = this.#plan({ operation, number: ++this.#calls })
    if (fault === undefined) return undefined
    this.#faults++
    if (fault === 'hang') await new Promise<void>((resolve) => this.#hanging.push(resolve))
    if (fault !== 'tear') throw failure()
    return fault
  }
}

async function* brokenOff<Item>(items: AsyncIterable<Item>, fault: 'tear' | undefined): AsyncIterable<Item> {
  for await (const item of items) {
    yield item
    if (fault !== undefined) throw failure()
  }
  if (fault !== undefined) throw failure()
}

function failure(): PolyphonyError {
  return new PolyphonyError('store-failed', 'A fault was planned for this call.')
}
