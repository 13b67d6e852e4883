/**
 * When to send a snapshot although deltas would do, as a pure state machine. The protocol has no acknowledgement: a
 * client that failed to apply a delta says nothing and drifts. A snapshot from time to time repairs it; how often is
 * bounded by a budget of bytes, so that a large state is repeated less often than a small one. Without deltas since the
 * last snapshot there is nothing to repair.
 */
export interface RepairOptions {
  /** Shortest time from one snapshot to the next. */
  readonly intervalMsMin: number
  /** Bytes of repeated snapshots per second that one reader is sent in the long run. */
  readonly bytesPerSecond: number
}

export const defaultRepair: RepairOptions = { intervalMsMin: 30_000, bytesPerSecond: 16 << 10 }

export interface RepairState {
  /** No repeated snapshot before this. */
  readonly dueAtMs: number
  /** Whether deltas went out since the last snapshot, and a wake-up was asked for. */
  readonly waiting: boolean
}

export type RepairInput =
  | { readonly type: 'delta-sent' }
  | { readonly type: 'snapshot-sent'; readonly bytes: number }
  | { readonly type: 'timer' }

export type RepairEffect = { readonly type: 'snapshot' } | { readonly type: 'wake'; readonly atMs: number }

/** The state before anything was sent at `nowMs`. */
export function startRepair(nowMs: number, options: RepairOptions): RepairState {
  return { dueAtMs: nowMs + options.intervalMsMin, waiting: false }
}

/** At most one effect per input: send a snapshot to all readers that got deltas, or send `timer` at that time. */
export function stepRepair(
  state: RepairState,
  input: RepairInput,
  nowMs: number,
  options: RepairOptions,
): { readonly state: RepairState; readonly effect?: RepairEffect } {
  switch (input.type) {
    case 'delta-sent': {
      if (state.waiting) return { state }
      return {
        state: { ...state, waiting: true },
        effect: { type: 'wake', atMs: Math.max(state.dueAtMs, nowMs) },
      }
    }
    case 'snapshot-sent': {
      const pauseMs = Math.max(options.intervalMsMin, (input.bytes / options.bytesPerSecond) * 1_000)
      return { state: { ...state, dueAtMs: nowMs + pauseMs } }
    }
    case 'timer': {
      if (!state.waiting) return { state }
      // A snapshot for somebody else may have used the budget since this timer was set.
      if (nowMs < state.dueAtMs) return { state, effect: { type: 'wake', atMs: state.dueAtMs } }
      return { state: { ...state, waiting: false }, effect: { type: 'snapshot' } }
    }
  }
}
