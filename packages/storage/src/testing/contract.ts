import type { DocumentStore, RetentionPolicy, StoreCapabilities } from '../index.ts'

/** How a suite reaches the store under test. Written once per adapter; see docs/storage-adapter.md. */
export interface StoreHarness {
  /** A place that nothing has been stored in: a directory, a schema, a key prefix of its own. */
  createPlace(): Promise<StorePlace>
}

/** Where documents stay while stores on it are opened and closed. */
export interface StorePlace {
  /**
   * Opens a store on this place. Called again after `close` (a restart) and, when the store is shared, while others are
   * open (more nodes). Without options: the store's defaults, which must not remove the few entries that a test writes.
   */
  open(options?: StorePlaceOptions): Promise<DocumentStore>
  /** Removes everything. Every store on it is closed by then. */
  remove(): Promise<void>
  /**
   * Shared stores: makes the delivery of the next notification go wrong (lost, or delivered twice), or breaks the
   * connection that brings them. Absent where it cannot be brought about.
   */
  disturb?(how: 'lose' | 'repeat' | 'disconnect'): Promise<void>
}

export interface StorePlaceOptions {
  readonly retention?: RetentionPolicy | undefined
}

/** What one test needs of a store beyond the contract; tests whose needs are not met are skipped with a reason. */
export type ContractNeed = 'restart' | 'shared' | 'disturb'

export interface ContractContext {
  readonly place: StorePlace
  /** Opens a store that is closed after the test. */
  readonly open: (options?: StorePlaceOptions) => Promise<DocumentStore>
  /** Of the property tests; printed when one fails. */
  readonly seed: number
  /** How many times a property is tried. */
  readonly runs: number
}

export interface ContractTest {
  /** Stable: adapters name known gaps by it. */
  readonly id: string
  readonly title: string
  readonly needs?: ContractNeed | undefined
  run(context: ContractContext): Promise<void>
}

export interface ContractRunOptions {
  readonly seed?: number | undefined
  readonly runs?: number | undefined
}

/** What the suite needs of a test runner: `it` and `it.skip` of most of them. */
export interface ContractRunner {
  readonly test: (title: string, run: () => Promise<void>) => void
  readonly skip: (title: string) => void
}

/**
 * Defines one test per rule of the contract in the given runner. What does not apply to this store, by what it says of
 * itself, is skipped with the reason in the title.
 */
export async function defineContractTests(
  runner: ContractRunner,
  harness: StoreHarness,
  tests: readonly ContractTest[],
  options: ContractRunOptions = {},
): Promise<void> {
  const { capabilities, canDisturb } = await readCapabilities(harness)
  for (const test of tests) {
    const reason = skipReason(test, capabilities, canDisturb)
    if (reason === undefined)
      runner.test(`${test.title} [${test.id}]`, () => runContractTest(test, harness, options))
    else runner.skip(`${test.title} [${test.id}]: ${reason}`)
  }
}

/** Runs one test on a place of its own, and leaves nothing behind. Rejects when the store breaks the contract. */
export async function runContractTest(
  test: ContractTest,
  harness: StoreHarness,
  options: ContractRunOptions = {},
): Promise<void> {
  const place = await harness.createPlace()
  const opened: DocumentStore[] = []
  const context: ContractContext = {
    place,
    seed: options.seed ?? 20_261_124,
    runs: options.runs ?? 25,
    open: async (placeOptions) => {
      const store = await place.open(placeOptions)
      opened.push(store)
      return store
    },
  }
  try {
    await test.run(context)
  } finally {
    for (const store of opened) await store.close()
    await place.remove()
  }
}

/** Why this test does not apply to a store with these capabilities, or `undefined` when it does. */
export function skipReason(
  test: Pick<ContractTest, 'needs'>,
  capabilities: StoreCapabilities,
  canDisturb: boolean,
): string | undefined {
  switch (test.needs) {
    case undefined:
      return undefined
    case 'restart':
      return capabilities.survives.processKill ? undefined : `${capabilities.name} does not survive a restart`
    case 'shared':
      return capabilities.shared ? undefined : `${capabilities.name} is not shared between nodes`
    case 'disturb':
      if (!capabilities.shared) return `${capabilities.name} is not shared between nodes`
      return canDisturb ? undefined : 'the harness cannot disturb delivery'
  }
}

/** Opens a store on a fresh place just to read what it can do. */
export async function readCapabilities(
  harness: StoreHarness,
): Promise<{ readonly capabilities: StoreCapabilities; readonly canDisturb: boolean }> {
  const place = await harness.createPlace()
  const store = await place.open()
  const { capabilities } = store
  await store.close()
  await place.remove()
  return { capabilities, canDisturb: place.disturb !== undefined }
}
