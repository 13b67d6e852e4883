import type { Message, ToolCall } from '@ag-ui/core'
import { MessageSchema } from '@ag-ui/core/schemas'
import * as Y from 'yjs'

/** Name of the root `Y.Array` of messages: one `Y.Map` each, in the order in which they are read. */
export const messagesRoot = 'polyphony:messages'

/** Name of the root `Y.Map` of runs, by run id. */
export const runsRoot = 'polyphony:runs'

/** `interrupted`: its author stopped before the end, so the text is not whole. */
export type MessageStatus = 'streaming' | 'complete' | 'interrupted'

/** `arguments`: still being written; `running`: complete, and nobody has answered yet. */
export type ToolCallStatus = 'arguments' | 'running' | 'result' | 'error' | 'interrupted'

/** A tool call as it stands in the document, for interfaces. */
export interface StoredToolCall {
  readonly id: string
  readonly name: string
  /** JSON text, as far as it has come. */
  readonly arguments: string
  readonly status: ToolCallStatus
  /** Id of the message that answers it. */
  readonly resultId?: string | undefined
  readonly encryptedValue?: string | undefined
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
}

/** A message as it stands in the document, for interfaces: what AG-UI knows of it, and how it came about. */
export interface StoredMessage {
  readonly id: string
  readonly role: Message['role']
  /** Text, content parts, or the object of an activity. */
  readonly content?: unknown
  readonly status: MessageStatus
  readonly toolCalls?: readonly StoredToolCall[] | undefined
  readonly toolCallId?: string | undefined
  readonly error?: string | undefined
  readonly activityType?: string | undefined
  readonly name?: string | undefined
  readonly runId?: string | undefined
  readonly author?: string | undefined
  readonly createdAtMs?: number | undefined
}

/** One message of a conversation: as interfaces see it, and as AG-UI does. */
export interface ConversationEntry {
  readonly stored: StoredMessage
  readonly message: Message
  /** What of it is still growing: `text:` with its id, `call:` with the id of a tool call. */
  readonly streams: readonly string[]
}

/** The members of a message of AG-UI that are kept. */
export const messageMembers = [
  'id',
  'role',
  'content',
  'name',
  'toolCalls',
  'toolCallId',
  'error',
  'activityType',
  'encryptedValue',
  'metadata',
  'subagentRunId',
] as const

/** The messages of a document, without those that are malformed; of two with one id, the last. O(size). */
export function readConversation(doc: Y.Doc): ConversationEntry[] {
  if (!doc.share.has(messagesRoot)) return []
  return distinctEntries(doc.getArray(messagesRoot).toArray().map(readMessage))
}

/** What remains of a list without what is not a message and, of two with one id, without the first. */
export function distinctEntries(found: readonly (ConversationEntry | undefined)[]): ConversationEntry[] {
  const entries = found.filter((entry) => entry !== undefined)
  const last = new Map(entries.map((entry) => [entry.message.id, entry]))
  return last.size === entries.length
    ? entries
    : entries.filter((entry) => last.get(entry.message.id) === entry)
}

/** What stands in the document in one place of the list; `undefined` when it is not a message. Anybody may write there. */
export function readMessage(item: unknown): ConversationEntry | undefined {
  if (!(item instanceof Y.Map)) return undefined
  const json = item.toJSON() as Record<string, unknown>
  const calls = Array.isArray(json.toolCalls) ? json.toolCalls.filter(isStoredCall) : undefined
  const message: Record<string, unknown> = {}
  for (const member of messageMembers) {
    if (json[member] !== undefined && json[member] !== null) message[member] = json[member]
  }
  if (calls === undefined) delete message.toolCalls
  else message.toolCalls = calls.map(toToolCall)
  const checked = MessageSchema.safeParse(message)
  if (!checked.success) return undefined
  const status = statusOf(json.status)
  const stored = {
    ...json,
    ...(calls === undefined ? {} : { toolCalls: calls }),
    status,
  } as unknown as StoredMessage
  const streams = (calls ?? []).filter((call) => call.status === 'arguments').map(({ id }) => `call:${id}`)
  if (status === 'streaming' && isGrowing(message)) streams.unshift(`text:${stored.id}`)
  return { stored, message: message as unknown as Message, streams }
}

function isGrowing({ role, content }: Record<string, unknown>): boolean {
  return role !== 'activity' && role !== 'tool' && (content === undefined || typeof content === 'string')
}

function statusOf(status: unknown): MessageStatus {
  return status === 'streaming' || status === 'interrupted' ? status : 'complete'
}

function isStoredCall(call: unknown): call is StoredToolCall {
  return (
    typeof call === 'object' &&
    call !== null &&
    'id' in call &&
    typeof call.id === 'string' &&
    'name' in call &&
    typeof call.name === 'string' &&
    'arguments' in call &&
    typeof call.arguments === 'string'
  )
}

function toToolCall({ id, name, arguments: text, encryptedValue, metadata }: StoredToolCall): ToolCall {
  return {
    id,
    type: 'function',
    function: { name, arguments: text },
    ...(encryptedValue === undefined ? {} : { encryptedValue }),
    ...(metadata === undefined ? {} : { metadata }),
  }
}
