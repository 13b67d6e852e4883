export {
  assertBatch,
  documentDeleted,
  encodeMeta,
  encodeMetas,
  refuseAppend,
  refuseAppendAt,
} from './append-check.ts'
export type { Bus } from './bus.ts'
export { assertCheckpoint, refuseCheckpointAt } from './checkpoint-check.ts'
export {
  decodeCheckpoint,
  decodeChunk,
  encodeCheckpoint,
  encodeChunk,
  type StoredCheckpoint,
} from './checkpoint-codec.ts'
export { chunkBytesMax, joinBytes, rechunk, splitChunks, type ChunkReference } from './chunks.ts'
export { closedError } from './closed-error.ts'
export { crc32c } from './crc32c.ts'
export { compareDocumentIds, matchesQuery } from './document-order.ts'
export {
  isCheckpoint,
  type Append,
  type AppendResult,
  type Checkpoint,
  type DocumentInfo,
  type DocumentStore,
  type EntryMeta,
  type Head,
  type HeadCondition,
  type ListQuery,
  type LogEntry,
  type LogListener,
  type NewEntry,
  type ReadRange,
  type Revision,
  type StoreCapabilities,
  type SubscribeOptions,
  type Unsubscribe,
} from './document-store.ts'
export {
  decodeEntry,
  decodeReference,
  encodeEntry,
  encodeReference,
  updateBytes,
  type StoredEntry,
} from './entry-codec.ts'
export { assertCondition, incarnationMismatch, refuseHead } from './head-condition.ts'
export { LogFollower, type LogFollowerOptions, type OwnEntries } from './log-follower.ts'
export { LogPositions, type LogPosition } from './log-position.ts'
export type { LogTail, TailRequest, TailSource } from './log-tail.ts'
export { MemoryBus } from './memory-bus.ts'
export { documentExists, MemoryDisk } from './memory-disk.ts'
export { MemoryStore, type MemoryStoreOptions } from './memory-store.ts'
export { observed, type ObservedOptions } from './observed.ts'
export { PendingCalls } from './pending-calls.ts'
export { overtakenRead, readAgain } from './overtaken-read.ts'
export { planRead, type ReadPlan, type Retained } from './read-plan.ts'
export { corrupt, openRecord, sealRecord, type RecordPlace } from './record.ts'
export {
  defaultRetention,
  retentionCut,
  type CoveredRange,
  type RetainedEntry,
  type RetentionPolicy,
} from './retention.ts'
export { sharded } from './sharded.ts'
export { SharedMemoryStore } from './shared-memory-store.ts'
export { followDecoded, StoreWrapper, type Subscribe, type SubscribeCall } from './store-wrapper.ts'
export { isTailLost, tailLost } from './tail-lost.ts'
export { decodeUpdateSeries, encodeUpdateSeries } from './update-series.ts'
