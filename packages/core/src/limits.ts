import type { ErrorCode } from './errors.ts'

interface LimitSpec {
  readonly default: number
  readonly unit: 'bytes' | 'count' | 'ms' | 'levels'
  readonly error: ErrorCode
  readonly meaning: string
  /** Part of what is stored and of how nodes understand each other: it cannot be configured. */
  readonly fixed?: true
}

/** Everything that can grow has a limit, and this is the only list of them. Documentation and tests iterate it. */
export const limitTable = {
  frameBytesMax: {
    default: 4 << 20,
    unit: 'bytes',
    error: 'frame-too-large',
    meaning: 'One WebSocket frame from a client that is not a sync step 2',
  },
  stepTwoBytesMax: {
    default: 64 << 20,
    unit: 'bytes',
    error: 'frame-too-large',
    meaning: 'One sync step 2 from a client: what it did while offline',
  },
  bodyBytesMax: {
    default: 16 << 20,
    unit: 'bytes',
    error: 'body-too-large',
    meaning: 'The body of one HTTP request',
  },
  documentBytesMax: {
    default: 256 << 20,
    unit: 'bytes',
    error: 'document-too-large',
    meaning: 'A document: its newest checkpoint plus the log above it',
  },
  checkpointMemoryBytesMax: {
    default: 512 << 20,
    unit: 'bytes',
    error: 'store-failed',
    meaning:
      'Checkpoints of all open documents that stay in memory; beyond, the least used are read again when needed',
  },
  compactionMemoryBytesMax: {
    default: 4 * 2 ** 30,
    unit: 'bytes',
    error: 'internal',
    meaning: 'Memory of the thread that makes checkpoints; a document that needs more keeps its log as it is',
  },
  patchOperationsMax: {
    default: 100_000,
    unit: 'count',
    error: 'patch-too-large',
    meaning: 'Operations in one JSON Patch',
  },
  jsonDepthMax: {
    default: 128,
    unit: 'levels',
    error: 'invalid-value',
    meaning: 'Nesting of JSON that comes in, and of the place where it goes',
  },
  jsonKeysMax: {
    default: 1_000_000,
    unit: 'count',
    error: 'invalid-value',
    meaning: 'Members and elements of JSON that comes in by one request',
  },
  stringLengthMax: {
    default: 10_000_000,
    unit: 'count',
    error: 'invalid-value',
    meaning: 'UTF-16 units of one string that comes in',
  },
  documentIdBytesMax: {
    default: 512,
    unit: 'bytes',
    error: 'invalid-document-id',
    meaning: 'UTF-8 bytes of a document id',
    fixed: true,
  },
  entryMetaBytesMax: {
    default: 4 << 10,
    unit: 'bytes',
    error: 'invalid-value',
    meaning: 'The JSON that says who made an entry of the log, and when',
    fixed: true,
  },
  openDocumentsMax: {
    default: 10_000,
    unit: 'count',
    error: 'too-many-documents',
    meaning: 'Documents open on one node',
  },
  connectionsMax: {
    default: 10_000,
    unit: 'count',
    error: 'too-many-connections',
    meaning: 'WebSocket sessions and feeds of one node',
  },
  documentConnectionsMax: {
    default: 5_000,
    unit: 'count',
    error: 'too-many-connections',
    meaning: 'WebSocket sessions and feeds of one document',
  },
  updateStructsMax: {
    default: 500_000,
    unit: 'count',
    error: 'update-too-large',
    meaning: 'Structs in one update or step 2',
  },
  clockJumpMax: {
    default: 1_000_000,
    unit: 'count',
    error: 'update-too-large',
    meaning: 'Clocks that one step 2 or update may claim without carrying content for them',
  },
  liveClockJumpMax: {
    default: 10_000,
    unit: 'count',
    error: 'update-too-large',
    meaning: 'The same for a live update',
  },
  updateDepthMax: {
    default: 256,
    unit: 'levels',
    error: 'update-too-large',
    meaning: 'Nesting of shared types that an update may build',
  },
  heldBytesMax: {
    default: 16 << 20,
    unit: 'bytes',
    error: 'overloaded',
    meaning: 'Updates of one document that wait for what they depend on',
  },
  queueBytesMax: {
    default: 64 << 20,
    unit: 'bytes',
    error: 'overloaded',
    meaning: 'Updates of one document that wait to be stored',
  },
  storeGiveUpMs: {
    default: 60_000,
    unit: 'ms',
    error: 'outcome-unknown',
    meaning: 'How long a failing write is tried again before its sessions are told',
  },
  storeRetryMsMax: {
    default: 5_000,
    unit: 'ms',
    error: 'store-failed',
    meaning: 'The longest pause between two attempts of a failing write; the first ones follow at once',
  },
  sendBufferBytesMax: {
    default: 64 << 20,
    unit: 'bytes',
    error: 'slow-consumer',
    meaning: 'Bytes that wait in one connection for a client that does not read',
  },
  awarenessBytesMax: {
    default: 64 << 10,
    unit: 'bytes',
    error: 'frame-too-large',
    meaning: "One client's awareness state",
  },
  awarenessClientsMax: {
    default: 64,
    unit: 'count',
    error: 'invalid-frame',
    meaning: 'Awareness client ids that one session may announce',
  },
  feedLifetimeMs: {
    default: 24 * 3_600_000,
    unit: 'ms',
    error: 'shutting-down',
    meaning: 'How long one feed or watch run lasts before it ends properly',
  },
  feedIdleMs: {
    default: 6 * 3_600_000,
    unit: 'ms',
    error: 'shutting-down',
    meaning: 'How long one feed or watch run may have nothing to tell before it ends properly',
  },
  feedStallMs: {
    default: 120_000,
    unit: 'ms',
    error: 'slow-consumer',
    meaning: 'How long the reader of a feed may take nothing of what was sent before it is cut off',
  },
  snapshotMemoryBytesMax: {
    default: 512 << 20,
    unit: 'bytes',
    error: 'overloaded',
    meaning:
      'Encoded states in memory, for all feeds; beyond, no further one is begun until readers have taken theirs',
  },
  snapshotBytesMax: {
    default: 8 << 20,
    unit: 'bytes',
    error: 'document-too-large',
    meaning: 'One event of a feed; larger states take several, but a single string must fit',
  },
  messagesMax: {
    default: 10_000,
    unit: 'count',
    error: 'too-many-messages',
    meaning: 'Messages of one document that agents and runs may add up to',
  },
  messageLengthMax: {
    default: 2_000_000,
    unit: 'count',
    error: 'message-too-large',
    meaning: 'UTF-16 units of the text, arguments or JSON of one message or tool call',
  },
  messageIdLengthMax: {
    default: 256,
    unit: 'count',
    error: 'invalid-value',
    meaning: 'UTF-16 units of the id of a message, tool call, run or thread',
  },
  toolCallsMax: {
    default: 1_000,
    unit: 'count',
    error: 'too-many-messages',
    meaning: 'Tool calls of one message, and steps of one run',
  },
  runsKept: {
    default: 1_000,
    unit: 'count',
    error: 'too-many-messages',
    meaning: 'Runs that a document remembers; older ones that have ended are forgotten',
  },
  runSilentMs: {
    default: 120_000,
    unit: 'ms',
    error: 'agent-failed',
    meaning: 'How long a run under way may show no sign of life before others hold it for interrupted',
  },
  agentRunsMax: {
    default: 1_000,
    unit: 'count',
    error: 'too-many-runs',
    meaning: 'Runs of agents under way on one node',
  },
  documentAgentRunsMax: {
    default: 16,
    unit: 'count',
    error: 'too-many-runs',
    meaning: 'Runs of agents under way in one document on one node',
  },
  agentEventBytesMax: {
    default: 10 << 20,
    unit: 'bytes',
    error: 'agent-failed',
    meaning: 'One event of an upstream agent',
  },
} as const satisfies Record<string, LimitSpec>

export type LimitName = keyof typeof limitTable

/** Whether a limit is the same everywhere and always. */
export function isFixedLimit(name: LimitName): boolean {
  const spec: LimitSpec = limitTable[name]
  return spec.fixed === true
}

export type Limits = Readonly<Record<LimitName, number>>

/** The defaults, with `overrides` in their place. Throws `TypeError` for a name or a number that makes no sense. */
export function resolveLimits(overrides: Partial<Record<LimitName, number>> = {}): Limits {
  const limits = Object.fromEntries(
    Object.entries(limitTable).map(([name, spec]) => [name, spec.default]),
  ) as Record<LimitName, number>
  for (const [name, value] of Object.entries(overrides)) {
    if (!Object.hasOwn(limitTable, name))
      throw new TypeError(`There is no limit named "${name}". Known: ${Object.keys(limitTable).join(', ')}`)
    if (!Number.isSafeInteger(value) || value < 0)
      throw new TypeError(`Limit "${name}" must be a whole number of at least 0, not ${value}`)
    if (isFixedLimit(name as LimitName) && value !== limits[name as LimitName])
      throw new TypeError(`Limit "${name}" is ${limits[name as LimitName]} everywhere; it cannot be changed`)
    limits[name as LimitName] = value
  }
  return limits
}
