import { PolyphonyError, type Limits } from '@polyphony/core'
import type { MessageEdit } from './message-edit.ts'

type MessageLimits = Pick<Limits, 'messagesMax' | 'messageLengthMax' | 'messageIdLengthMax' | 'toolCallsMax'>

/**
 * Throws when edits would make too much of something: `too-many-messages`, `message-too-large`, and `invalid-value` for
 * ids that are too long. To be called before anything is written; texts that grow are measured by whoever has them whole.
 *
 * @param count messages that the document has
 */
export function checkEdits(edits: readonly MessageEdit[], count: number, limits: MessageLimits): void {
  let messages = count
  for (const edit of edits) {
    if (edit.type === 'add') {
      messages += 1
      checkId(edit.message.id, limits)
      checkLength(JSON.stringify(edit.message).length, edit.message.id, limits)
    } else if (edit.type === 'change') checkLength(JSON.stringify(edit.to).length, edit.to.id, limits)
    else if (edit.type === 'call-add') checkId(edit.call.id, limits)
    else if (edit.type === 'remove') messages -= 1
  }
  if (messages > count && messages > limits.messagesMax) {
    throw new PolyphonyError(
      'too-many-messages',
      `The document would have ${messages} messages; ${limits.messagesMax} are allowed. Remove old ones.`,
      { limit: 'messagesMax' },
    )
  }
}

/** Throws `invalid-value` for an id that is too long to be kept. */
export function checkId(id: string, { messageIdLengthMax }: Pick<Limits, 'messageIdLengthMax'>): void {
  if (id !== '' && id.length <= messageIdLengthMax) return
  throw new PolyphonyError('invalid-value', `An id has 1 to ${messageIdLengthMax} characters.`, {
    limit: 'messageIdLengthMax',
  })
}

/** Throws `message-too-large` for a text or message of so many UTF-16 units. */
export function checkLength(
  length: number,
  id: string,
  { messageLengthMax }: Pick<Limits, 'messageLengthMax'>,
): void {
  if (length <= messageLengthMax) return
  throw new PolyphonyError(
    'message-too-large',
    `"${id.slice(0, 50)}" would have ${length} characters; ${messageLengthMax} are allowed.`,
    { limit: 'messageLengthMax' },
  )
}
