/** One option of `polyphony import`. */
export interface ImportOptionSpec {
  readonly flag: string
  /** What stands for the value in the help; none for a switch. */
  readonly value?: string
  readonly meaning: string
}

/** The options of `polyphony import`, for its help and the documentation. */
export const importOptions = [
  {
    flag: 'from',
    value: 'SOURCE',
    meaning:
      'Where documents come from: "y-leveldb:DIRECTORY", "y-redis:redis://HOST:PORT" (npm y-redis 1.0), or "json:PATH", a file or a directory of *.json',
  },
  {
    flag: 'store',
    value: 'STORE',
    meaning: 'Where they go: "level:DIRECTORY", "redis://HOST:PORT" or "postgres://HOST/DATABASE"',
  },
  { flag: 'prefix', value: 'TEXT', meaning: 'Put before every document id, such as "notes/"' },
  { flag: 'dry-run', meaning: 'Say what would happen, and write nothing' },
  { flag: 'verify', meaning: 'Read every document back and compare it with the source' },
  {
    flag: 'resume',
    value: 'FILE',
    meaning: 'Note in FILE what is done, and leave out what it says is done already',
  },
  {
    flag: 'merge',
    meaning:
      'Add what a document in the store lacks, instead of leaving alone what differs. Not for JSON, which has no history to merge',
  },
  {
    flag: 'drop-pending',
    meaning:
      'Import documents although the source has lost some of their edits; what builds on those is left behind',
  },
  {
    flag: 'projections',
    value: 'JSON',
    meaning: 'The projections of the server, so that JSON becomes what they expect',
  },
  {
    flag: 'allow-volatile',
    meaning: 'Accept a Redis or PostgreSQL that may lose what it acknowledged',
  },
] as const satisfies readonly ImportOptionSpec[]
