/** One setting of `serve` and `demo`, as flags, environment, file, help and documentation know it. */
export interface OptionSpec {
  readonly flag: string
  readonly env: string
  /** The member of the configuration file. */
  readonly file: string
  /** What stands for the value in the help. */
  readonly value: string
  /** Whether it may be given several times; in the environment, values are separated by commas. */
  readonly many?: true
  /** Not to be shown. */
  readonly secret?: true
  readonly default?: string
  readonly meaning: string
}

/** Every setting there is. Help, the configuration page and the tests iterate this. */
export const optionTable = {
  host: {
    flag: 'host',
    env: 'POLYPHONY_HOST',
    file: 'host',
    value: 'ADDRESS',
    default: '127.0.0.1',
    meaning: 'Address to listen on. Anything but loopback needs an auth secret',
  },
  port: {
    flag: 'port',
    env: 'POLYPHONY_PORT',
    file: 'port',
    value: 'NUMBER',
    default: '4400',
    meaning: 'Port to listen on; 0 takes any free one',
  },
  store: {
    flag: 'store',
    env: 'POLYPHONY_STORE',
    file: 'store',
    value: 'STORE',
    default: 'level:./data',
    meaning:
      'Where documents are kept: "level:DIRECTORY" (durable), "redis://…", "rediss://…" or "postgres://…" (shared by many nodes), or "memory:" (gone when the server stops)',
  },
  fsync: {
    flag: 'fsync',
    env: 'POLYPHONY_FSYNC',
    file: 'fsync',
    value: 'on|off',
    default: 'on',
    meaning:
      'Whether a write to "level:" waits for the disk. Off, a power cut may take acknowledged edits back',
  },
  compress: {
    flag: 'compress',
    env: 'POLYPHONY_COMPRESS',
    file: 'compress',
    value: 'on|off',
    default: 'off',
    meaning:
      'Whether larger updates and checkpoints are stored compressed (brotli) from now on; what is there stays readable',
  },
  encryptionKeys: {
    flag: 'encryption-keys',
    env: 'POLYPHONY_ENCRYPTION_KEYS',
    file: 'encryptionKeys',
    value: 'FILE',
    meaning:
      'A key ring made by "polyphony keys", or "env:NAME" of a variable with one (commas do as line ends); with it, what is stored is encrypted (AES-256-GCM). Chosen once for a store',
  },
  allowVolatile: {
    flag: 'allow-volatile',
    env: 'POLYPHONY_ALLOW_VOLATILE',
    file: 'allowVolatile',
    value: 'on|off',
    default: 'off',
    meaning: 'Whether a Redis or PostgreSQL is accepted that acknowledges what a crash may take back',
  },
  storeCa: {
    flag: 'store-ca',
    env: 'POLYPHONY_STORE_CA',
    file: 'storeCa',
    value: 'FILE',
    meaning:
      'Certificates (PEM) of who may vouch for the server behind rediss:// or postgres://; with it, postgres:// is reached by TLS only. Default: what Node trusts',
  },
  storeTimeout: {
    flag: 'store-timeout',
    env: 'POLYPHONY_STORE_TIMEOUT',
    file: 'storeTimeout',
    value: 'MS',
    default: '10000',
    meaning:
      'How long a command to Redis or a statement to PostgreSQL may take; what took longer is tried again',
  },
  storeConnectTimeout: {
    flag: 'store-connect-timeout',
    env: 'POLYPHONY_STORE_CONNECT_TIMEOUT',
    file: 'storeConnectTimeout',
    value: 'MS',
    default: '5000',
    meaning: 'How long connecting to Redis or PostgreSQL, or waiting for a free connection, may take',
  },
  levelCache: {
    flag: 'level-cache',
    env: 'POLYPHONY_LEVEL_CACHE',
    file: 'levelCache',
    value: 'BYTES',
    default: '33554432',
    meaning: 'Memory that "level:" keeps read blocks in',
  },
  redisPrefix: {
    flag: 'redis-prefix',
    env: 'POLYPHONY_REDIS_PREFIX',
    file: 'redisPrefix',
    value: 'TEXT',
    default: 'polyphony',
    meaning: 'Begins every key and channel in Redis; another one for each deployment on the same Redis',
  },
  redisSentinels: {
    flag: 'redis-sentinel',
    env: 'POLYPHONY_REDIS_SENTINEL',
    file: 'redisSentinels',
    value: 'HOST:PORT',
    many: true,
    meaning: "A Sentinel to ask for the primary, in place of the host and port of the store's address",
  },
  redisSentinelName: {
    flag: 'redis-sentinel-name',
    env: 'POLYPHONY_REDIS_SENTINEL_NAME',
    file: 'redisSentinelName',
    value: 'NAME',
    meaning: 'By which name the Sentinels know the primary',
  },
  redisSentinelPassword: {
    flag: 'redis-sentinel-password',
    env: 'POLYPHONY_REDIS_SENTINEL_PASSWORD',
    file: 'redisSentinelPassword',
    value: 'SECRET',
    secret: true,
    meaning: 'The password of the Sentinels. Better in the environment, where other users cannot see it',
  },
  redisWaitReplicas: {
    flag: 'redis-wait-replicas',
    env: 'POLYPHONY_REDIS_WAIT_REPLICAS',
    file: 'redisWaitReplicas',
    value: 'COUNT',
    default: '0',
    meaning: 'Acknowledge an edit only after so many replicas have it, too',
  },
  redisWaitTimeout: {
    flag: 'redis-wait-timeout',
    env: 'POLYPHONY_REDIS_WAIT_TIMEOUT',
    file: 'redisWaitTimeout',
    value: 'MS',
    default: '1000',
    meaning: 'How long to wait for those replicas; then edits wait until they are back',
  },
  postgresSchema: {
    flag: 'postgres-schema',
    env: 'POLYPHONY_POSTGRES_SCHEMA',
    file: 'postgresSchema',
    value: 'NAME',
    default: 'polyphony',
    meaning: 'The schema of the tables; another one for each deployment in the same database',
  },
  postgresConnections: {
    flag: 'postgres-connections',
    env: 'POLYPHONY_POSTGRES_CONNECTIONS',
    file: 'postgresConnections',
    value: 'COUNT',
    default: '8',
    meaning: 'Connections to PostgreSQL, of one server; four more serve notifications and presence',
  },
  history: {
    flag: 'history',
    env: 'POLYPHONY_HISTORY',
    file: 'history',
    value: 'NAME=NUMBER',
    many: true,
    meaning:
      'How much of the log stays readable below a checkpoint, by "entries" (10,000), "bytes" (16 MiB) and "ageMs" (a day); all three hold. It is what old version tokens and late patches need',
  },
  checkpoints: {
    flag: 'checkpoint',
    env: 'POLYPHONY_CHECKPOINT',
    file: 'checkpoints',
    value: 'NAME=NUMBER',
    many: true,
    meaning:
      'When the log above a checkpoint becomes a new one: at "entries" (500), "bytes" (8 MiB) or "ageMs" (an hour) of it, whichever comes first; a large document waits until it is worth it',
  },
  authSecret: {
    flag: 'auth-secret',
    env: 'POLYPHONY_AUTH_SECRET',
    file: 'authSecret',
    value: 'SECRET',
    secret: true,
    meaning:
      'At least 32 bytes, shared with whoever signs tokens (JWT, HS256). With it, every request needs a token',
  },
  origins: {
    flag: 'origin',
    env: 'POLYPHONY_ORIGIN',
    file: 'origins',
    value: 'ORIGIN',
    many: true,
    meaning:
      'Origin whose pages may connect, as "https://app.example"; "*" for all. The server\'s own always may',
  },
  hosts: {
    flag: 'allow-host',
    env: 'POLYPHONY_ALLOW_HOST',
    file: 'allowHosts',
    value: 'NAME',
    many: true,
    meaning:
      'Name that a Host header may have; "*" for all. Default: names of this machine without an auth secret, all with one',
  },
  site: {
    flag: 'site',
    env: 'POLYPHONY_SITE',
    file: 'site',
    value: 'DIRECTORY',
    meaning: 'Static files to serve at /',
  },
  logLevel: {
    flag: 'log-level',
    env: 'POLYPHONY_LOG_LEVEL',
    file: 'logLevel',
    value: 'LEVEL',
    default: 'info',
    meaning: 'debug, info, warn, error or silent. Logs are JSON lines on standard output',
  },
  limits: {
    flag: 'limit',
    env: 'POLYPHONY_LIMIT',
    file: 'limits',
    value: 'NAME=NUMBER',
    many: true,
    meaning:
      'Another value for a limit, as "bodyBytesMax=1048576"; the limits are listed in the documentation',
  },
  projections: {
    flag: 'projections',
    env: 'POLYPHONY_PROJECTIONS',
    file: 'projections',
    value: 'JSON',
    meaning:
      'How documents appear as JSON: a list of {"documents": PATTERN, "mounts": …}, of which the first that fits counts',
  },
  agents: {
    flag: 'agents',
    env: 'POLYPHONY_AGENTS',
    file: 'agents',
    value: 'JSON',
    meaning:
      'Upstream AG-UI agents by name, as {"helper": {"url": URL, "headers": …, "documents": [PATTERN]}}, which documents can run',
  },
  config: {
    flag: 'config',
    env: 'POLYPHONY_CONFIG',
    file: '',
    value: 'FILE',
    meaning: 'A JSON file with settings. Flags win over the environment, the environment over the file',
  },
} as const satisfies Record<string, OptionSpec>

export type OptionName = keyof typeof optionTable

export const optionNames = Object.keys(optionTable) as OptionName[]

/** The table with its optional members visible. */
export function optionSpec(name: OptionName): OptionSpec {
  return optionTable[name]
}
