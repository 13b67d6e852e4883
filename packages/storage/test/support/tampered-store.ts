import {
  isCheckpoint,
  StoreWrapper,
  type Checkpoint,
  type LogEntry,
  type ReadRange,
} from '@polyphony/storage'

/** A store whose content somebody changes between writing and reading. */
export class TamperedStore extends StoreWrapper {
  #tamper: (item: Checkpoint | LogEntry) => Checkpoint | LogEntry = (item) => item

  constructor(inner: StoreWrapper['inner']) {
    super(inner, 'tampered')
  }

  /** From now on, entries are read as `change` makes them. */
  tamperEntries(change: (entry: LogEntry) => LogEntry): void {
    this.#tamper = (item) => (isCheckpoint(item) ? item : change(item))
  }

  tamperCheckpoints(change: (checkpoint: Checkpoint) => Checkpoint): void {
    this.#tamper = (item) => (isCheckpoint(item) ? change(item) : item)
  }

  override async *read(documentId: string, range?: ReadRange): AsyncIterable<Checkpoint | LogEntry> {
    for await (const item of super.read(documentId, range)) yield this.#tamper(item)
  }
}
