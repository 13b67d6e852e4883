import { PROTOCOL_VERSION } from '@ag-ui/core'
import type { PolyphonyError } from '@polyphony/core'

export interface RunIds {
  readonly threadId: string
  readonly runId: string
}

/** The JSON text of RUN_STARTED. */
export function encodeRunStarted({ threadId, runId }: RunIds): string {
  return JSON.stringify({ type: 'RUN_STARTED', threadId, runId, protocolVersion: PROTOCOL_VERSION })
}

/** The JSON text of RUN_FINISHED. Without an outcome, which older clients do not know and newer ones take as success. */
export function encodeRunFinished({ threadId, runId }: RunIds): string {
  return JSON.stringify({ type: 'RUN_FINISHED', threadId, runId })
}

/** The JSON text of RUN_ERROR with the stable code of the error. */
export function encodeRunError(error: PolyphonyError): string {
  return JSON.stringify({ type: 'RUN_ERROR', message: error.message, code: error.code })
}

/** The JSON text of a CUSTOM event; names of ours begin with `polyphony.`. */
export function encodeCustom(name: `polyphony.${string}`, value: unknown): string {
  return JSON.stringify({ type: 'CUSTOM', name, value })
}
