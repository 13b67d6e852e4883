import { appendTests } from './append-tests.ts'
import { checkpointTests } from './checkpoint-tests.ts'
import type { ContractTest } from './contract.ts'
import { documentTests } from './document-tests.ts'
import { lifecycleTests } from './lifecycle-tests.ts'
import { modelTests } from './model-tests.ts'
import { readTests } from './read-tests.ts'
import { subscribeTests } from './subscribe-tests.ts'

/** The contract of `DocumentStore` as tests, for any runner: see `runContractTest`. */
export const contractTests: readonly ContractTest[] = [
  ...appendTests,
  ...readTests,
  ...checkpointTests,
  ...documentTests,
  ...lifecycleTests,
  ...subscribeTests,
  ...modelTests,
]
