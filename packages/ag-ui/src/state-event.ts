/** What Polyphony adds to every state event, under `metadata.polyphony`. */
export interface StateStamp {
  readonly documentId: string
  /** Opaque token of the version that the reader has after this event. */
  readonly version: string
  /** The version that the event applies to; `null` for a snapshot, which needs none. A gap shows as a mismatch. */
  readonly previous: string | null
  /** More events follow before `version` is reached; until then no version is known that a reader could resume from. */
  readonly partial?: true | undefined
}

// Events are put together from texts that are made once and shared by readers whose stamps differ.

/** What stands before and after the JSON text of a state in the JSON text of a STATE_SNAPSHOT. */
export function snapshotEnvelope(stamp: StateStamp): readonly [head: string, tail: string] {
  return ['{"type":"STATE_SNAPSHOT","snapshot":', `,"metadata":{"polyphony":${JSON.stringify(stamp)}}}`]
}

/** What stands before and after the JSON text of a patch in the JSON text of a STATE_DELTA. */
export function deltaEnvelope(stamp: StateStamp): readonly [head: string, tail: string] {
  return ['{"type":"STATE_DELTA","delta":', `,"metadata":{"polyphony":${JSON.stringify(stamp)}}}`]
}

/** The JSON text of a STATE_SNAPSHOT around the JSON text of a state. */
export function encodeSnapshotEvent(stateText: string, stamp: StateStamp): string {
  return snapshotEnvelope(stamp).join(stateText)
}

/** The JSON text of a STATE_DELTA around the JSON text of a patch. */
export function encodeDeltaEvent(patchText: string, stamp: StateStamp): string {
  return deltaEnvelope(stamp).join(patchText)
}

/** Name of the CUSTOM event that stands for a STATE_DELTA with operations that the protocol does not know. */
export const spliceEventName = 'polyphony.delta'

/** The JSON text of a CUSTOM event around the JSON text of a patch with splices. Only for readers that asked for it. */
export function encodeSpliceEvent(patchText: string, stamp: StateStamp): string {
  const name = JSON.stringify(spliceEventName)
  return `{"type":"CUSTOM","name":${name},"value":${patchText},"metadata":{"polyphony":${JSON.stringify(stamp)}}}`
}
