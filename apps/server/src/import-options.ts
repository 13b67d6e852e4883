import type { OptionName } from './options.ts'

/** One option of `polyphony import`. */
export interface ImportOptionSpec {
  readonly flag: string
  /** What stands for the value in the help; none for a switch. */
  readonly value?: string
  readonly meaning: string
}

/** The options that only `polyphony import` has, for its parser, its help and the documentation. */
export const importOptions: readonly ImportOptionSpec[] = [
  {
    flag: 'from',
    value: 'SOURCE',
    meaning:
      'Where documents come from: "y-leveldb:DIRECTORY", "y-redis:redis://HOST:PORT" (npm y-redis 1.0), or "json:PATH", a file or a directory of *.json',
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
]

/** The settings of a server that an import takes too, in the same places: they say how the store is to be opened. */
export const importSettings: readonly OptionName[] = [
  'store',
  'fsync',
  'compress',
  'encryptionKeys',
  'allowVolatile',
  'storeCa',
  'storeTimeout',
  'storeConnectTimeout',
  'levelCache',
  'redisPrefix',
  'redisSentinels',
  'redisSentinelName',
  'redisSentinelPassword',
  'redisWaitReplicas',
  'redisWaitTimeout',
  'postgresSchema',
  'postgresConnections',
  'history',
  'projections',
  'limits',
  'config',
]
