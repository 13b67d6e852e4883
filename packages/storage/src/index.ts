export type { Bus } from './bus.ts'
export {
  isCheckpoint,
  type Append,
  type AppendResult,
  type Checkpoint,
  type DocumentInfo,
  type DocumentStore,
  type EntryMeta,
  type Head,
  type ListQuery,
  type LogEntry,
  type NewEntry,
  type ReadRange,
  type RetentionPolicy,
  type Revision,
  type StoreCapabilities,
  type Unsubscribe,
} from './document-store.ts'
