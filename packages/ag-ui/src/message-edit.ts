import type { Message, ToolCall } from '@ag-ui/core'
import type { MessageStatus, ToolCallStatus } from './conversation.ts'

/**
 * What is to be done to the messages of a document. Edits name things by id and say what changes, so that they can be
 * carried out on a list that others have changed meanwhile; what is gone by then is left alone.
 */
export type MessageEdit =
  /** `result`: behind the message that made the call, as the official client places it. */
  | {
      readonly type: 'add'
      readonly message: Message
      readonly status: MessageStatus
      readonly place: 'end' | 'result' | { readonly after: string | undefined }
    }
  | { readonly type: 'append'; readonly id: string; readonly delta: string }
  /** Members that differ between `from` and `to` become what they are in `to`. */
  | { readonly type: 'change'; readonly from: Message; readonly to: Message }
  | { readonly type: 'remove'; readonly id: string }
  | { readonly type: 'status'; readonly id: string; readonly status: MessageStatus }
  | { readonly type: 'call-add'; readonly id: string; readonly call: ToolCall }
  | { readonly type: 'call-append'; readonly callId: string; readonly delta: string }
  | { readonly type: 'call-change'; readonly from: ToolCall; readonly to: ToolCall }
  | {
      readonly type: 'call-status'
      readonly callId: string
      readonly status: ToolCallStatus
      readonly resultId?: string | undefined
    }

/** Puts neighbouring pieces of one text together: a flush writes each text once, however many tokens it had. */
export function coalesceEdits(edits: readonly MessageEdit[]): MessageEdit[] {
  const merged: MessageEdit[] = []
  for (const edit of edits) {
    const last = merged.at(-1)
    if (edit.type === 'append' && last?.type === 'append' && last.id === edit.id)
      merged[merged.length - 1] = { ...edit, delta: last.delta + edit.delta }
    else if (edit.type === 'call-append' && last?.type === 'call-append' && last.callId === edit.callId)
      merged[merged.length - 1] = { ...edit, delta: last.delta + edit.delta }
    else merged.push(edit)
  }
  return merged
}
