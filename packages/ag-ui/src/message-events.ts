import type { Message, Metadata, ToolCall } from '@ag-ui/core'
import { jsonEquals, type JsonValue } from '@polyphony/translator'
import type { ConversationEntry } from './conversation.ts'
import { callsOf, ownersOf } from './message-list.ts'

/** What a reader of messages has: the messages, and the streams (`text:` or `call:` and an id) that are open in its run. */
export interface HeldMessages {
  readonly messages: readonly Message[]
  readonly open: ReadonlySet<string>
  /** Id of the first message that the reader was given, when older ones were left out. */
  readonly from?: string | undefined
  /** The reader has just come: messages that it lacks are history, which is restated as a snapshot, not streamed again. */
  readonly isNew?: boolean | undefined
}

export interface MessageEvents {
  /** JSON texts of events. */
  readonly events: readonly string[]
  /** What the reader has after them. */
  readonly held: HeldMessages
  /** Whether one of them is a MESSAGES_SNAPSHOT. */
  readonly isSnapshot: boolean
}

/**
 * The events that take a reader from what it has to what there is. Text and arguments that grow are streamed, and what
 * is new at the end is added; for everything else (somebody edited in the middle, removed or moved a message) the whole
 * list is sent. `undefined` when there is nothing to say.
 *
 * Every official client from 0.0.57 on ends with the same messages: a START of a message that it has does not add one,
 * a START of a tool call that it has would, so calls that still grow are left out of a snapshot and follow as events.
 *
 * @param snapshotBytesMax older messages are left out of a snapshot that would become larger
 */
export function messageEvents(
  held: HeldMessages,
  entries: readonly ConversationEntry[],
  snapshotBytesMax: number,
): MessageEvents | undefined {
  const growth = new Teller(held)
  const from = held.from === undefined ? 0 : entries.findIndex(({ message }) => message.id === held.from)
  const grows = from >= 0 && growth.tellGrowth(from === 0 ? entries : entries.slice(from))
  if (grows) {
    // Who has just come, and has it all, is new no more.
    return growth.events.length === 0 && held.isNew !== true ? undefined : growth.told(false, held.from)
  }
  const whole = new Teller(held)
  const visible = newestWithin(entries, snapshotBytesMax)
  whole.tellAll(visible)
  return whole.told(true, visible.length < entries.length ? visible[0]?.message.id : undefined)
}

/** The events that close what is open, so that a run can finish. */
export function closingEvents({ messages, open }: HeldMessages): readonly string[] {
  return [...open].map((stream) =>
    endOf(
      stream,
      messages.find(({ id }) => stream === `text:${id}`),
    ),
  )
}

interface Encrypted {
  readonly id: string
  readonly encryptedValue?: string | undefined
}

class Teller {
  readonly events: string[] = []
  readonly #isNew: boolean
  readonly #have: Message[]
  readonly #open: Set<string>
  /** Of the messages that the reader has, once somebody has asked. */
  #ids: Set<string> | undefined
  /** By call, the message that makes it, once somebody has asked. */
  #owners: Map<string, string> | undefined

  constructor(held: HeldMessages) {
    this.#isNew = held.isNew === true
    this.#have = [...held.messages]
    this.#open = new Set(held.open)
  }

  told(isSnapshot: boolean, from: string | undefined): MessageEvents {
    const held = { messages: this.#have, open: this.#open, ...(from === undefined ? {} : { from }) }
    return { events: this.events, held, isSnapshot }
  }

  /** `false` when events that add and append cannot bring the reader there. */
  tellGrowth(entries: readonly ConversationEntry[]): boolean {
    for (const [index, entry] of entries.entries()) {
      const before = this.#have[index]
      const isKnown = before?.id === entry.message.id
      if (isKnown && before === entry.message && entry.streams.length === 0) continue
      // A newcomer is given what it lacks as a whole; there is no use in going on.
      if (!isKnown && (this.#isNew || !this.#add(entry.message, index))) return false
      if (!this.#grow(this.#have[index], entry)) return false
      this.#have[index] = entry.message
    }
    if (this.#have.length > entries.length) return false
    this.#closeAllBut(entries)
    return true
  }

  /** The whole list; in two steps when the reader, which never moves what it has, would end with another order. */
  tellAll(entries: readonly ConversationEntry[]): void {
    this.#closeAllBut(entries)
    const visible = entries.map((entry) => this.#withoutGrowingCalls(entry))
    const ids = new Set(visible.map(({ id }) => id))
    const kept = new Set(this.#have.map(({ id }) => id).filter((id) => ids.has(id)))
    const order = [...kept, ...[...ids].filter((id) => !kept.has(id))]
    const wrong = visible.findIndex(({ id }, index) => order[index] !== id)
    if (wrong >= 0) this.#tellSnapshot(visible.slice(0, wrong))
    this.#tellSnapshot(visible)
    this.#have.splice(0, this.#have.length, ...entries.map(({ message }) => message))
    // Now the calls that were left out, and what goes on growing.
    for (const [index, entry] of entries.entries()) this.#grow(visible[index], entry)
  }

  #tellSnapshot(messages: readonly Message[]): void {
    // Without this declaration the official client keeps activities that were removed.
    const metadata = '{"@ag-ui/client":{"authoritativeActivityTypes":null}}'
    const texts = messages.map(textOf).join(',')
    this.events.push(`{"type":"MESSAGES_SNAPSHOT","messages":[${texts}],"metadata":${metadata}}`)
  }

  /** A call that grows and is not open at the reader, and the calls behind it, come later. */
  #withoutGrowingCalls({ message, streams }: ConversationEntry): Message {
    const calls = callsOf(message)
    const first = calls.findIndex(({ id }) => streams.includes(`call:${id}`) && !this.#open.has(`call:${id}`))
    return first < 0 ? message : ({ ...message, toolCalls: calls.slice(0, first) } as Message)
  }

  /** Creates a message that the reader does not have, if an event can put it at that place. */
  #add(message: Message, index: number): boolean {
    if (!isAddable(message) || index !== this.#placeOf(message)) return false
    this.#ids ??= new Set(this.#have.map(({ id }) => id))
    if (this.#ids.has(message.id)) return false
    this.#have.splice(index, 0, shellOf(message))
    this.#ids?.add(message.id)
    // A message of tool calls alone is created by the first of them.
    if (isText(message) && message.content === undefined) return true
    if (isText(message)) this.#open.add(`text:${message.id}`)
    this.#tell(creationOf(message, message.metadata))
    return true
  }

  /** Where the official client puts it. */
  #placeOf(message: Message): number {
    if (message.role !== 'tool') return this.#have.length
    this.#owners ??= ownersOf(this.#have)
    const ownerId = this.#owners.get(message.toolCallId)
    if (ownerId === undefined) return this.#have.length
    let index = this.#have.findLastIndex(({ id }) => id === ownerId) + 1
    while (this.#have[index]?.role === 'tool') index++
    return index
  }

  /** Streams what a message has more than before. `false` when something else changed. */
  #grow(before: Message | undefined, { message, streams }: ConversationEntry): boolean {
    if (before === undefined || !hasSameFrame(before, message)) return false
    const metadata = addedMetadata(before.metadata, message.metadata)
    const delta = addedContent(before, message)
    if (metadata === 'removed' || delta === other) return false
    if (isText(message)) {
      if (!this.#growText(message, { delta, metadata, streams })) return false
    } else if (delta !== '' || metadata !== undefined) {
      if (message.role !== 'activity') return false
      this.#tell(creationOf(message, metadata))
    }
    if (!this.#growCalls(message, callsOf(before), streams)) return false
    if (message.role !== 'activity' && !this.#encrypt('message', before, message)) return false
    const stream = `text:${message.id}`
    if (this.#open.has(stream) && !streams.includes(stream)) this.#end(stream, message)
    return true
  }

  #growText(
    message: Message,
    {
      delta,
      metadata,
      streams,
    }: {
      readonly delta: string
      readonly metadata: Metadata | undefined
      readonly streams: readonly string[]
    },
  ): boolean {
    const stream = `text:${message.id}`
    const wasOpen = this.#open.has(stream)
    if (delta === '' && metadata === undefined && (wasOpen || !streams.includes(stream))) return true
    if (Array.isArray(message.content)) return false
    // Older clients take no empty deltas.
    if (wasOpen && delta === '') return false
    if (!wasOpen) this.#tell(creationOf(message, metadata))
    this.#open.add(stream)
    if (delta === '') return true
    const type = message.role === 'reasoning' ? 'REASONING_MESSAGE_CONTENT' : 'TEXT_MESSAGE_CONTENT'
    const more = wasOpen && metadata !== undefined ? { metadata } : {}
    this.#tell({ type, messageId: message.id, delta, ...attributionOf(message), ...more })
    return true
  }

  #growCalls(message: Message, before: readonly ToolCall[], streams: readonly string[]): boolean {
    const calls = callsOf(message)
    if (before.some(({ id }, index) => calls[index]?.id !== id)) return false
    for (const [index, call] of calls.entries()) {
      if (!this.#growCall(message, before[index], call)) return false
      const stream = `call:${call.id}`
      if (this.#open.has(stream) && !streams.includes(stream)) this.#end(stream, message)
    }
    return true
  }

  #growCall(message: Message, before: ToolCall | undefined, call: ToolCall): boolean {
    if (before === call) return true
    const stream = `call:${call.id}`
    const had = before?.function.arguments ?? ''
    const { name, arguments: has } = call.function
    if (!has.startsWith(had)) return false
    if (before === undefined) {
      if (this.#open.has(stream)) return false
      this.#tell({
        type: 'TOOL_CALL_START',
        toolCallId: call.id,
        toolCallName: name,
        parentMessageId: message.id,
        ...attributionOf(message),
        ...(call.metadata === undefined ? {} : { metadata: call.metadata }),
      })
      this.#open.add(stream)
      if (this.#owners?.has(call.id) === false) this.#owners.set(call.id, message.id)
    } else if (name !== before.function.name || !same(before.metadata, call.metadata)) return false
    if (!this.#encrypt('tool-call', before, call)) return false
    if (has === had) return true
    // A call that the reader has, and that is closed, cannot be opened again for all clients.
    if (!this.#open.has(stream)) return false
    this.#tell({ type: 'TOOL_CALL_ARGS', toolCallId: call.id, delta: has.slice(had.length) })
    return true
  }

  #encrypt(subtype: 'message' | 'tool-call', before: Encrypted | undefined, after: Encrypted): boolean {
    const { id: entityId, encryptedValue } = after
    if (encryptedValue === before?.encryptedValue) return true
    if (encryptedValue === undefined) return false
    this.#tell({ type: 'REASONING_ENCRYPTED_VALUE', subtype, entityId, encryptedValue })
    return true
  }

  /** Ends what is open at the reader and grows no more: it is finished, or was removed. */
  #closeAllBut(entries: readonly ConversationEntry[]): void {
    if (this.#open.size === 0) return
    const growing = new Set<string>()
    for (const { streams } of entries) for (const stream of streams) growing.add(stream)
    for (const stream of this.#open)
      if (!growing.has(stream))
        this.#end(
          stream,
          this.#have.find(({ id }) => stream === `text:${id}`),
        )
  }

  #end(stream: string, message: Message | undefined): void {
    this.#open.delete(stream)
    this.events.push(endOf(stream, message))
  }

  #tell(event: Readonly<Record<string, unknown>>): void {
    this.events.push(JSON.stringify(event))
  }
}

function endOf(stream: string, message: Message | undefined): string {
  const id = stream.slice('text:'.length)
  if (stream.startsWith('call:')) return JSON.stringify({ type: 'TOOL_CALL_END', toolCallId: id })
  const type = message?.role === 'reasoning' ? 'REASONING_MESSAGE_END' : 'TEXT_MESSAGE_END'
  return JSON.stringify({ type, messageId: id })
}

/** The event that creates a message, or opens one that is there. */
function creationOf(message: Message, metadata: Metadata | undefined): Readonly<Record<string, unknown>> {
  const { id: messageId, role } = message
  const more = { ...attributionOf(message), ...(metadata === undefined ? {} : { metadata }) }
  if (message.role === 'activity') {
    const { activityType, content } = message
    return { type: 'ACTIVITY_SNAPSHOT', messageId, activityType, content, replace: true, ...more }
  }
  if (message.role === 'tool') {
    const { toolCallId, content } = message
    return { type: 'TOOL_CALL_RESULT', messageId, toolCallId, content, role, ...more }
  }
  if (role === 'reasoning') return { type: 'REASONING_MESSAGE_START', messageId, role, ...more }
  const name = 'name' in message && message.name !== undefined ? { name: message.name } : {}
  return { type: 'TEXT_MESSAGE_START', messageId, role, ...name, ...more }
}

/** Whether it can be streamed: everything but answers of tools and activities. */
function isText({ role }: Message): boolean {
  return role !== 'tool' && role !== 'activity'
}

/** Whether events other than a snapshot can express a message as a whole. */
function isAddable(message: Message): boolean {
  if (message.role === 'activity') return true
  if (message.role === 'tool') return message.error === undefined
  if (callsOf(message).length === 0 && 'toolCalls' in message) return false
  if (typeof message.content === 'string') return true
  const isPlain = message.metadata === undefined && !('name' in message)
  return message.content === undefined && callsOf(message).length > 0 && isPlain
}

/** What a client has right after the event that creates a message. */
function shellOf(message: Message): Message {
  const shell: Record<string, unknown> = { ...message }
  delete shell.encryptedValue
  if (!isText(message)) return shell as unknown as Message
  if (typeof message.content === 'string') shell.content = ''
  delete shell.toolCalls
  return shell as unknown as Message
}

const other = Symbol('changed in another way')

const framing = ['role', 'name', 'toolCallId', 'error', 'subagentRunId'] as const

/** Whether nothing differs but what can grow. */
function hasSameFrame(before: Message, after: Message): boolean {
  const one = before as unknown as Readonly<Record<string, unknown>>
  const two = after as unknown as Readonly<Record<string, unknown>>
  return framing.every((member) => one[member] === two[member])
}

/** What was added to a text; `other` when the content changed in another way. Activities count as a whole. */
function addedContent(before: Message, after: Message): string | typeof other {
  if (after.role === 'activity')
    return before.role === 'activity' &&
      before.activityType === after.activityType &&
      same(before.content, after.content)
      ? ''
      : 'changed'
  const had = before.content ?? ''
  const has = after.content ?? ''
  if (typeof had === 'string' && typeof has === 'string')
    return has.startsWith(had) ? has.slice(had.length) : other
  return same(had, has) ? '' : other
}

/** The members of metadata that are new or changed; merged by clients, which never remove any. */
function addedMetadata(
  before: Metadata | undefined,
  after: Metadata | undefined,
): Metadata | undefined | 'removed' {
  if (same(before, after)) return undefined
  const had = before ?? {}
  const has = after ?? {}
  if (Object.keys(had).some((key) => !Object.hasOwn(has, key))) return 'removed'
  return Object.fromEntries(Object.entries(has).filter(([key, value]) => !same(had[key], value)))
}

function attributionOf({ subagentRunId }: Message): { readonly subagentRunId?: string } {
  return subagentRunId === undefined ? {} : { subagentRunId }
}

const texts = new WeakMap<Message, string>()

/** The JSON text of a message, made once: a snapshot repeats all of them. */
function textOf(message: Message): string {
  const known = texts.get(message)
  if (known !== undefined) return known
  const text = JSON.stringify(message)
  texts.set(message, text)
  return text
}

/** The newest messages whose JSON fits. */
function newestWithin(
  entries: readonly ConversationEntry[],
  lengthMax: number,
): readonly ConversationEntry[] {
  let length = 0
  let from = entries.length
  for (; from > 0; from--) {
    const entry = entries[from - 1]
    if (entry === undefined) break
    length += textOf(entry.message).length + 1
    if (length > lengthMax) break
  }
  return from === 0 ? entries : entries.slice(from)
}

function same(a: unknown, b: unknown): boolean {
  return a === b || (a !== undefined && b !== undefined && jsonEquals(a as JsonValue, b as JsonValue))
}
