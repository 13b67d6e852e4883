export { busContractTests, type BusContractTest } from './bus-tests.ts'
export {
  defineContractTests,
  readCapabilities,
  runContractTest,
  skipReason,
  type ContractContext,
  type ContractNeed,
  type ContractRunner,
  type ContractRunOptions,
  type ContractTest,
  type StoreHarness,
  type StorePlace,
  type StorePlaceOptions,
} from './contract.ts'
export { contractTests } from './contract-tests.ts'
export { eventually, expectCode, expectEqual, expectRejection, expectTrue } from './expectations.ts'
export {
  faultAt,
  faulty,
  FaultyStore,
  seededFaults,
  type Fault,
  type FaultPlan,
  type StoreCall,
} from './faulty.ts'
export {
  appendTo,
  chunksOf,
  collect,
  joinChunks,
  readAll,
  readTexts,
  refusedAppend,
  sampleBytes,
  sampleCheckpoint,
  sampleEntries,
  sampleEntry,
  type ReadResult,
} from './samples.ts'
export { WriteScenario } from './write-scenario.ts'
