import { EventType, type BaseEvent } from '@ag-ui/client'
import type { JsonValue, SplicePatch } from '@polyphony/translator'
import { valueAt } from '../value-at.ts'
import { spliceEventName } from './state-reader.ts'

/**
 * The event as every subscriber understands it. A delta with splices becomes a STATE_DELTA that replaces the strings, as
 * they are in `state` after it: no more than a reference to each.
 */
export function standardEvent(event: BaseEvent, state: JsonValue): BaseEvent {
  const { name, value, ...rest } = event as BaseEvent & { readonly name?: unknown; readonly value?: unknown }
  if (name !== spliceEventName) return event
  // Pointers in deltas are those of the state that they lead to.
  const delta = (value as SplicePatch).map((operation) =>
    operation.op === 'splice'
      ? { op: 'replace', path: operation.path, value: valueAt(state, operation.path) ?? null }
      : operation,
  )
  const standard = { ...rest, type: EventType.STATE_DELTA, delta }
  return standard
}
