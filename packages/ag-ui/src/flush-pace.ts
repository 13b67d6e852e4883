/**
 * When to flush, as a pure state machine.
 *
 *            changed, allowed            flushed, nothing new
 *   idle ───────────────────→ flushing ───────────────────────→ idle
 *    │ changed, too early        │ flushed, changed meanwhile
 *    └────────→ waiting ←────────┘
 *                  └── timer ──→ flushing
 *
 * The first change after a quiet time goes out at once. Under load a flush follows at the end of an interval, and that
 * interval grows with what a flush costs: its bytes against a budget per second, its work against a share of one core.
 */
export interface PaceOptions {
  /** Shortest time from one flush to the next. */
  readonly intervalMsMin: number
  /** Bytes of deltas per second that one reader is sent in the long run. */
  readonly readerBytesPerSecond: number
  /** Bytes of deltas per second that all readers of one view together are sent in the long run. */
  readonly totalBytesPerSecond: number
  /** How many milliseconds' worth of the budget a burst may use in advance. */
  readonly burstMs: number
  /** Share of one core, 0 to 1, that the flushes of one view may use. */
  readonly workShare: number
}

export const defaultPace: PaceOptions = {
  intervalMsMin: 50,
  readerBytesPerSecond: 1 << 20,
  totalBytesPerSecond: 64 << 20,
  burstMs: 1_000,
  workShare: 0.2,
}

export interface PaceState {
  readonly status: 'idle' | 'waiting' | 'flushing'
  /** Whether something changed that the flush under way does not cover. */
  readonly changed: boolean
  /** When the flush under way began. */
  readonly startedAtMs: number
  /** No flush before this. */
  readonly nextAtMs: number
  /** When the bytes sent so far are paid for by the budget. */
  readonly paidAtMs: number
}

export type PaceInput =
  | { readonly type: 'changed' }
  | { readonly type: 'timer' }
  /** `bytes` as one reader got them; `workMs` of computing and encoding. */
  | { readonly type: 'flushed'; readonly bytes: number; readonly readers: number; readonly workMs: number }

export type PaceEffect = { readonly type: 'flush' } | { readonly type: 'wake'; readonly atMs: number }

export const idlePace: PaceState = {
  status: 'idle',
  changed: false,
  startedAtMs: 0,
  nextAtMs: 0,
  paidAtMs: 0,
}

/** At most one effect per input: begin a flush now, or send `timer` at that time. */
export function stepPace(
  state: PaceState,
  input: PaceInput,
  nowMs: number,
  options: PaceOptions,
): { readonly state: PaceState; readonly effect?: PaceEffect } {
  switch (input.type) {
    case 'changed':
      if (state.status === 'flushing') return { state: { ...state, changed: true } }
      return state.status === 'waiting' ? { state } : begin(state, nowMs)
    case 'timer':
      return state.status === 'waiting' ? begin(state, nowMs) : { state }
    case 'flushed': {
      if (state.status !== 'flushing') return { state }
      const settled: PaceState = {
        ...state,
        ...charge(state, input, nowMs, options),
        status: 'idle',
        changed: false,
      }
      return state.changed ? begin(settled, nowMs) : { state: settled }
    }
  }
}

function begin(state: PaceState, nowMs: number): { readonly state: PaceState; readonly effect: PaceEffect } {
  if (nowMs < state.nextAtMs) {
    return { state: { ...state, status: 'waiting' }, effect: { type: 'wake', atMs: state.nextAtMs } }
  }
  return { state: { ...state, status: 'flushing', startedAtMs: nowMs }, effect: { type: 'flush' } }
}

function charge(
  state: PaceState,
  flush: { readonly bytes: number; readonly readers: number; readonly workMs: number },
  nowMs: number,
  options: PaceOptions,
): Pick<PaceState, 'nextAtMs' | 'paidAtMs'> {
  const secondsOfBudget = Math.max(
    flush.bytes / options.readerBytesPerSecond,
    (flush.bytes * flush.readers) / options.totalBytesPerSecond,
  )
  const paidAtMs = Math.max(state.paidAtMs, nowMs) + secondsOfBudget * 1_000
  return {
    paidAtMs,
    nextAtMs: Math.max(
      state.startedAtMs + options.intervalMsMin,
      state.startedAtMs + flush.workMs / options.workShare,
      paidAtMs - options.burstMs,
    ),
  }
}
