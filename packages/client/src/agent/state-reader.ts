import type { BaseEvent } from '@ag-ui/client'
import type { JsonValue, SplicePatch } from '@polyphony/translator'
import { readStamp, type StateStamp } from './state-stamp.ts'

/** What one or more events of a stream do to the state, as a whole. */
export interface StateChange {
  /** What the operations apply to instead of what is held. */
  readonly snapshot?: { readonly value: JsonValue } | undefined
  readonly operations: SplicePatch
  /** The version that the operations apply to; `null` when a snapshot comes first. */
  readonly previous: string | null
  /** The version that they lead to; `undefined` when the server does not say. */
  readonly version: string | undefined
}

/** Name of the CUSTOM events that stand for deltas with splices. */
export const spliceEventName = 'polyphony.delta'

/**
 * Reads the state events of one stream. A large state comes in parts; they become one change, so that nobody ever sees
 * half a state, and a stream that breaks in the middle of one leaves no trace.
 */
export class StateReader {
  #parts: { change: Omit<StateChange, 'version'>; reached: string } | undefined

  /**
   * A complete change; `partial` while parts of it are missing; `gap` when an event does not follow the one before it.
   * `undefined` when the event is not about the state.
   */
  read(event: BaseEvent): StateChange | 'partial' | 'gap' | undefined {
    const content = contentOf(event)
    if (content === undefined) return undefined
    const stamp = readStamp(event.metadata)
    const parts = this.#parts
    this.#parts = undefined
    if (stamp === undefined) return { ...content, previous: null, version: undefined }
    if (content.snapshot !== undefined || parts === undefined)
      return this.#keep({ ...content, ...startOf(stamp) }, stamp)
    if (stamp.previous !== parts.reached) return 'gap'
    const operations = [...parts.change.operations, ...content.operations]
    return this.#keep({ ...parts.change, operations }, stamp)
  }

  #keep(change: Omit<StateChange, 'version'>, { version, isPartial }: StateStamp): StateChange | 'partial' {
    if (!isPartial) return { ...change, version }
    this.#parts = { change, reached: version }
    return 'partial'
  }
}

const startOf = ({ previous }: StateStamp) => ({ previous })

function contentOf(event: BaseEvent): Pick<StateChange, 'snapshot' | 'operations'> | undefined {
  const { type, snapshot, delta, name, value } = event as {
    readonly type: string
    readonly snapshot?: JsonValue
    readonly delta?: SplicePatch
    readonly name?: unknown
    readonly value?: unknown
  }
  if (type === 'STATE_SNAPSHOT') return { snapshot: { value: snapshot ?? null }, operations: [] }
  if (type === 'STATE_DELTA' && Array.isArray(delta)) return { operations: delta }
  if (type === 'CUSTOM' && name === spliceEventName && Array.isArray(value))
    return { operations: value as SplicePatch }
  return undefined
}
