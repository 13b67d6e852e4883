interface MetricSpec {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
  /** Upper bounds of a histogram, in the unit that the name ends in. */
  readonly buckets?: readonly number[]
}

const latencyMs = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000, 30_000]
const sizes = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000]
const bytes = [256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216]

/** Every metric of the server. Documentation and tests iterate it; `Telemetry` knows no others. */
export const metricTable = {
  polyphony_ready: {
    type: 'gauge',
    help: 'What /readyz says when this is read: 1 while edits are taken, 0 while the store fails or the server stops',
    labels: [],
  },
  polyphony_limit: {
    type: 'gauge',
    help: 'What each limit is set to, by its name in the table of limits and in its unit',
    labels: ['name'],
  },
  polyphony_connections: {
    type: 'gauge',
    help: 'WebSocket sessions and feeds that are open now',
    labels: ['face'],
  },
  polyphony_connections_total: {
    type: 'counter',
    help: 'WebSocket sessions and feeds that were opened',
    labels: ['face'],
  },
  polyphony_rooms: { type: 'gauge', help: 'Documents that are open on this node', labels: [] },
  polyphony_checkpoint_memory_bytes: {
    type: 'gauge',
    help: 'Bytes of checkpoints that are in memory, for joiners and replicas',
    labels: [],
  },
  polyphony_replicas: { type: 'gauge', help: 'Documents that are materialised in memory', labels: [] },
  polyphony_updates_total: {
    type: 'counter',
    help: 'Yjs updates that came in, by what became of them: committed, empty, held, refused',
    labels: ['outcome'],
  },
  polyphony_commit_duration_ms: {
    type: 'histogram',
    help: 'One append to the store, for all documents in it',
    labels: [],
    buckets: latencyMs,
  },
  polyphony_commit_batch_size: {
    type: 'histogram',
    help: 'Log entries written by one append to the store',
    labels: [],
    buckets: sizes,
  },
  polyphony_commit_batch_bytes: {
    type: 'histogram',
    help: 'Bytes written by one append to the store',
    labels: [],
    buckets: bytes,
  },
  polyphony_commit_races_lost_total: {
    type: 'counter',
    help: 'Appends that had to follow a certain revision, and came after another node had written',
    labels: [],
  },
  polyphony_commit_failures_total: {
    type: 'counter',
    help: 'Appends that the store refused or did not answer, retries included',
    labels: ['code'],
  },
  polyphony_commit_queue_entries: {
    type: 'gauge',
    help: 'Log entries that wait to be durable',
    labels: [],
  },
  polyphony_commit_queue_bytes: { type: 'gauge', help: 'Bytes that wait to be durable', labels: [] },
  polyphony_store_calls_total: {
    type: 'counter',
    help: 'Calls of the store by what they ask for, and how they ended: ok or the code of the error',
    labels: ['operation', 'outcome'],
  },
  polyphony_store_duration_ms: {
    type: 'histogram',
    help: 'One call of the store; reading and listing take as long as whoever reads',
    labels: ['operation', 'outcome'],
    buckets: latencyMs,
  },
  polyphony_store_bytes: {
    type: 'histogram',
    help: 'Bytes of updates and states in one call of the store, before compression and encryption',
    labels: ['operation'],
    buckets: bytes,
  },
  polyphony_store_refusals_total: {
    type: 'counter',
    help: 'Documents of an append that the store refused; others of the same append are stored',
    labels: ['code'],
  },
  polyphony_held_bytes: {
    type: 'gauge',
    help: 'Bytes of updates that wait for what they depend on',
    labels: [],
  },
  polyphony_checkpoint_duration_ms: {
    type: 'histogram',
    help: 'Making and storing one checkpoint, off the path of edits',
    labels: [],
    buckets: latencyMs,
  },
  polyphony_checkpoint_failures_total: {
    type: 'counter',
    help: 'Checkpoints that could not be made or stored; the log is kept',
    labels: [],
  },
  polyphony_room_load_duration_ms: {
    type: 'histogram',
    help: 'Reading a document from the store and opening its room',
    labels: [],
    buckets: latencyMs,
  },
  polyphony_sent_bytes_total: { type: 'counter', help: 'Bytes handed to clients', labels: ['face'] },
  polyphony_received_bytes_total: { type: 'counter', help: 'Bytes taken from clients', labels: ['face'] },
  polyphony_feed_flush_duration_ms: {
    type: 'histogram',
    help: 'Work of turning what changed into events, once per view',
    labels: [],
    buckets: latencyMs,
  },
  polyphony_feed_flush_bytes: {
    type: 'histogram',
    help: 'Bytes of one encoded delta or snapshot',
    labels: ['kind'],
    buckets: bytes,
  },
  polyphony_feed_slow_readers: {
    type: 'gauge',
    help: 'Feeds whose reader has not taken what was sent',
    labels: [],
  },
  polyphony_http_requests_total: {
    type: 'counter',
    help: 'HTTP requests that were answered',
    labels: ['route', 'method', 'status'],
  },
  polyphony_http_request_duration_ms: {
    type: 'histogram',
    help: 'From the head of a request to the end of its answer; feeds are not in it',
    labels: ['route', 'method'],
    buckets: latencyMs,
  },
  polyphony_agent_runs: { type: 'gauge', help: 'Runs of upstream agents under way', labels: ['agent'] },
  polyphony_agent_runs_total: {
    type: 'counter',
    help: 'Runs of upstream agents that ended, by the code of the error, or ok',
    labels: ['agent', 'code'],
  },
  polyphony_agent_run_duration_ms: {
    type: 'histogram',
    help: 'From the request to an upstream agent to the end of its run',
    labels: ['agent'],
    buckets: [100, 500, 1_000, 5_000, 15_000, 60_000, 300_000, 1_800_000],
  },
  polyphony_errors_total: {
    type: 'counter',
    help: 'Errors that were told to a client, by face and stable code',
    labels: ['face', 'code'],
  },
} as const satisfies Record<string, MetricSpec>

export type MetricName = keyof typeof metricTable

/** The table as plain specifications, for those who iterate it. */
export const metricSpecs: Readonly<Record<string, MetricSpec>> = metricTable
