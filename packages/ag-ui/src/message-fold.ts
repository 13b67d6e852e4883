import {
  EventType,
  mergeMetadata,
  type ActivityDeltaEvent,
  type ActivitySnapshotEvent,
  type Event,
  type ToolCallResultEvent,
  type ToolCallStartEvent,
  type Message,
  type Metadata,
  type ToolCall,
} from '@ag-ui/core'
import { PolyphonyError, type Limits } from '@polyphony/core'
import { jsonEquals, type JsonValue } from '@polyphony/translator'
import { activityScope, patchObject, type ActivityScope } from './activity.ts'
import type { MessageEdit } from './message-edit.ts'
import { callsOf, MessageList } from './message-list.ts'
import { checkLength } from './message-limits.ts'
import { CharacterJoiner } from './well-formed.ts'

/**
 * What an agent's events do to messages. Keeps the messages as the agent has them, by the rules of the official client,
 * and says of every event what it changes there; that is then carried out on the document, where others write too.
 * Because the agent's own messages are the base, a MESSAGES_SNAPSHOT removes only what the agent knew of, and changes
 * only what it changed.
 *
 * Events must have come through a `RunChecker`, and chunks through a `ChunkExpander`.
 */
export class MessageFold {
  #messages: MessageList
  readonly #openTexts = new Set<string>()
  readonly #joiner = new CharacterJoiner()
  readonly #openCalls = new Set<string>()
  /** Calls of this run that nobody has answered. */
  readonly #unanswered = new Set<string>()

  readonly #limits: Pick<Limits, 'messageLengthMax' | 'toolCallsMax'>

  /** @param messages what the agent was given */
  constructor(messages: readonly Message[], limits: Pick<Limits, 'messageLengthMax' | 'toolCallsMax'>) {
    this.#messages = new MessageList(messages)
    this.#limits = limits
  }

  /** The messages as the agent has them now. */
  get messages(): readonly Message[] {
    return this.#messages.all
  }

  /**
   * What an event changes. Events that are not about messages change nothing. Throws `message-too-large` for texts that
   * have grown too long, and `too-many-messages` for too many calls of one message.
   */
  apply(event: Event): readonly MessageEdit[] {
    switch (event.type) {
      case EventType.TEXT_MESSAGE_START:
        return this.#start(event.messageId, {
          role: event.role ?? 'assistant',
          ...(event.name === undefined ? {} : { name: event.name }),
          event,
        })
      case EventType.REASONING_MESSAGE_START:
        return this.#start(event.messageId, { role: 'reasoning', event })
      case EventType.TEXT_MESSAGE_CONTENT:
      case EventType.REASONING_MESSAGE_CONTENT:
        return this.#append(event.messageId, event.delta, event.metadata)
      case EventType.TEXT_MESSAGE_END:
      case EventType.REASONING_MESSAGE_END:
        return this.#end(event.messageId, event.metadata)
      case EventType.TOOL_CALL_START:
        return this.#startCall(event)
      case EventType.TOOL_CALL_ARGS:
        return this.#changeCall(event.toolCallId, event.metadata, event.delta)
      case EventType.TOOL_CALL_END:
        return this.#endCall(event.toolCallId, event.metadata)
      case EventType.TOOL_CALL_RESULT:
        return this.#addResult(event)
      case EventType.MESSAGES_SNAPSHOT:
        return this.#takeSnapshot(event.messages, activityScope(event.metadata))
      case EventType.RUN_STARTED:
        return (event.input?.messages ?? []).flatMap((message) => this.#addIfNew(message))
      case EventType.ACTIVITY_SNAPSHOT:
        return this.#setActivity(event)
      case EventType.ACTIVITY_DELTA:
        return this.#patchActivity(event)
      case EventType.REASONING_ENCRYPTED_VALUE:
        return this.#encrypt(event.subtype, event.entityId, event.encryptedValue)
      case EventType.TEXT_MESSAGE_CHUNK:
      case EventType.TOOL_CALL_CHUNK:
      case EventType.REASONING_MESSAGE_CHUNK:
      case EventType.STATE_SNAPSHOT:
      case EventType.STATE_DELTA:
      case EventType.RAW:
      case EventType.CUSTOM:
      case EventType.RUN_FINISHED:
      case EventType.RUN_ERROR:
      case EventType.STEP_STARTED:
      case EventType.STEP_FINISHED:
      case EventType.REASONING_START:
      case EventType.REASONING_END:
      case EventType.SUBAGENT_STARTED:
      case EventType.SUBAGENT_FINISHED:
      case EventType.SUBAGENT_ERROR:
        return []
    }
  }

  /** The agent stopped: what it had not finished says so. */
  interrupt(): readonly MessageEdit[] {
    const edits: MessageEdit[] = []
    for (const id of this.#openTexts) edits.push({ type: 'status', id, status: 'interrupted' })
    for (const callId of this.#unanswered) edits.push({ type: 'call-status', callId, status: 'interrupted' })
    this.#openTexts.clear()
    this.#openCalls.clear()
    this.#unanswered.clear()
    return edits
  }

  #find(id: string): Message | undefined {
    return this.#messages.find(id)
  }

  /** The message is changed; says so unless nothing differs. */
  #replace(from: Message, to: Message): MessageEdit[] {
    this.#messages.replace(from, to)
    return [{ type: 'change', from, to }]
  }

  #withMetadata(message: Message, metadata: Metadata | undefined): MessageEdit[] {
    if (metadata === undefined) return []
    return this.#replace(message, {
      ...message,
      metadata: mergeMetadata(message.metadata, metadata),
    } as Message)
  }

  #start(
    id: string,
    options: {
      readonly role: Message['role']
      readonly name?: string
      readonly event: {
        readonly subagentRunId?: string | undefined
        readonly metadata?: Metadata | undefined
      }
    },
  ): MessageEdit[] {
    const existing = this.#find(id)
    // A text cannot be written into the object of an activity.
    if (existing?.role === 'activity') return []
    this.#openTexts.add(id)
    const { event, ...members } = options
    if (existing !== undefined)
      return [{ type: 'status', id, status: 'streaming' }, ...this.#withMetadata(existing, event.metadata)]
    const message = {
      id,
      content: '',
      ...members,
      ...(event.subagentRunId === undefined ? {} : { subagentRunId: event.subagentRunId }),
      ...(event.metadata === undefined ? {} : { metadata: event.metadata }),
    } as Message
    this.#messages.push(message)
    return [{ type: 'add', message, status: 'streaming', place: 'end' }]
  }

  #append(id: string, piece: string, metadata: Metadata | undefined): MessageEdit[] {
    const message = this.#find(id)
    if (message === undefined || message.role === 'activity') return []
    const delta = this.#joiner.next(`text:${id}`, piece)
    const before = typeof message.content === 'string' ? message.content : ''
    checkLength(before.length + delta.length, id, this.#limits)
    const grown = { ...message, content: before + delta } as Message
    this.#messages.replace(message, grown)
    return [{ type: 'append', id, delta }, ...this.#withMetadata(grown, metadata)]
  }

  #end(id: string, metadata: Metadata | undefined): MessageEdit[] {
    this.#openTexts.delete(id)
    this.#joiner.end(`text:${id}`)
    const message = this.#find(id)
    if (message === undefined || message.role === 'activity') return []
    return [...this.#withMetadata(message, metadata), { type: 'status', id, status: 'complete' }]
  }

  #startCall(event: ToolCallStartEvent): MessageEdit[] {
    const { toolCallId, toolCallName, parentMessageId, subagentRunId, metadata } = event
    this.#openCalls.add(toolCallId)
    this.#unanswered.add(toolCallId)
    const known = this.#messages.findCall(toolCallId)
    if (known !== undefined) {
      const renamed = { ...known.call, function: { ...known.call.function, name: toolCallName } }
      return [
        ...this.#replaceCall(toolCallId, withMetadata(renamed, metadata)),
        { type: 'call-status', callId: toolCallId, status: 'arguments' },
      ]
    }
    const edits: MessageEdit[] = []
    const parent = parentMessageId === undefined ? undefined : this.#find(parentMessageId)
    let owner = parent?.role === 'assistant' ? parent : undefined
    if (owner === undefined) {
      // Without a parent that can carry it, a call gets a message of its own.
      const id = parentMessageId === undefined || parent !== undefined ? toolCallId : parentMessageId
      owner = {
        id,
        role: 'assistant',
        toolCalls: [],
        ...(subagentRunId === undefined ? {} : { subagentRunId }),
      }
      this.#messages.push(owner)
      edits.push({ type: 'add', message: owner, status: 'complete', place: 'end' })
    }
    if ((owner.toolCalls?.length ?? 0) >= this.#limits.toolCallsMax) {
      throw new PolyphonyError('too-many-messages', `The message "${owner.id}" has too many tool calls.`, {
        limit: 'toolCallsMax',
      })
    }
    const call = withMetadata(
      { id: toolCallId, type: 'function', function: { name: toolCallName, arguments: '' } },
      metadata,
    )
    this.#messages.replace(owner, { ...owner, toolCalls: [...(owner.toolCalls ?? []), call] })
    edits.push({ type: 'call-add', id: owner.id, call })
    return edits
  }

  #replaceCall(id: string, to: ToolCall): MessageEdit[] {
    const known = this.#messages.findCall(id)
    if (known === undefined) return []
    const { owner, call } = known
    const toolCalls = callsOf(owner).map((one) => (one === call ? to : one))
    this.#messages.replace(owner, { ...owner, toolCalls } as Message)
    return [{ type: 'call-change', from: call, to }]
  }

  #changeCall(id: string, metadata: Metadata | undefined, piece: string): MessageEdit[] {
    const known = this.#messages.findCall(id)
    if (known === undefined) return []
    const { call } = known
    const delta = this.#joiner.next(`call:${id}`, piece)
    checkLength(call.function.arguments.length + delta.length, id, this.#limits)
    const grown = { ...call, function: { ...call.function, arguments: call.function.arguments + delta } }
    this.#replaceCall(id, grown)
    const edits: MessageEdit[] = [{ type: 'call-append', callId: id, delta }]
    if (metadata !== undefined) edits.push(...this.#replaceCall(id, withMetadata(grown, metadata)))
    return edits
  }

  #endCall(id: string, metadata: Metadata | undefined): MessageEdit[] {
    this.#openCalls.delete(id)
    this.#joiner.end(`call:${id}`)
    const known = this.#messages.findCall(id)
    if (known === undefined) return []
    const edits = metadata === undefined ? [] : this.#replaceCall(id, withMetadata(known.call, metadata))
    // Some agents send the result before they close the call.
    return this.#unanswered.has(id)
      ? [...edits, { type: 'call-status', callId: id, status: 'running' }]
      : edits
  }

  #addResult(event: ToolCallResultEvent): MessageEdit[] {
    const { messageId, toolCallId, content, subagentRunId, metadata } = event
    this.#unanswered.delete(toolCallId)
    const message = {
      id: messageId,
      role: 'tool',
      toolCallId,
      content,
      ...(subagentRunId === undefined ? {} : { subagentRunId }),
      ...(metadata === undefined ? {} : { metadata }),
    } as Message & { readonly role: 'tool' }
    const answered: MessageEdit = {
      type: 'call-status',
      callId: toolCallId,
      status: 'result',
      resultId: messageId,
    }
    const existing = this.#find(messageId)
    if (existing !== undefined) return [...this.#replace(existing, message), answered]
    this.#messages.addAnswer(message)
    return [{ type: 'add', message, status: 'complete', place: 'result' }, answered]
  }

  #addIfNew(message: Message): MessageEdit[] {
    if (this.#find(message.id) !== undefined) return []
    this.#messages.push(message)
    return [{ type: 'add', message, status: 'complete', place: 'end' }]
  }

  #takeSnapshot(messages: readonly Message[], scope: ActivityScope): MessageEdit[] {
    const snapshot = new Map(messages.map((message) => [message.id, message]))
    const has = (role: Message['role']): boolean => messages.some((message) => message.role === role)
    const ownsActivity = (type: string): boolean =>
      scope === 'inferred' ? has('activity') : scope === 'all' || scope.includes(type)
    const keepsReasoning = !has('reasoning')
    const edits: MessageEdit[] = []
    const kept: Message[] = []
    for (const message of this.#messages.all) {
      const next = snapshot.get(message.id)
      if (next !== undefined) {
        kept.push(next)
        if (!jsonEquals(message, next)) edits.push({ type: 'change', from: message, to: next })
      } else if (
        message.role === 'activity'
          ? !ownsActivity(message.activityType)
          : message.role === 'reasoning' && keepsReasoning
      )
        kept.push(message)
      else edits.push({ type: 'remove', id: message.id })
    }
    this.#messages = new MessageList(kept)
    for (const message of snapshot.values()) edits.push(...this.#addIfNew(message))
    return [...edits, ...this.#answersIn(messages)]
  }

  /** Results that came with a snapshot, or with the history of a client, answer their calls. */
  #answersIn(messages: readonly Message[]): MessageEdit[] {
    return messages.flatMap((message) => {
      if (message.role !== 'tool') return []
      this.#unanswered.delete(message.toolCallId)
      return [answerOf(message)]
    })
  }

  #setActivity(event: ActivitySnapshotEvent): MessageEdit[] {
    const { messageId, activityType, content, replace = true, subagentRunId, metadata } = event
    const existing = this.#find(messageId)
    const fresh = {
      id: messageId,
      role: 'activity',
      activityType,
      content,
      ...(subagentRunId === undefined ? {} : { subagentRunId }),
    } as Message
    if (existing === undefined) {
      const message = metadata === undefined ? fresh : ({ ...fresh, metadata } as Message)
      this.#messages.push(message)
      return [{ type: 'add', message, status: 'complete', place: 'end' }]
    }
    if (!replace) return existing.role === 'activity' ? this.#withMetadata(existing, metadata) : []
    const kept = existing.role === 'activity' ? existing.metadata : undefined
    const merged = mergeMetadata(kept, metadata)
    return this.#replace(existing, merged === undefined ? fresh : { ...fresh, metadata: merged })
  }

  #patchActivity(event: ActivityDeltaEvent): MessageEdit[] {
    const existing = this.#find(event.messageId)
    if (existing?.role !== 'activity') return []
    const edits = this.#withMetadata(existing, event.metadata)
    const content = patchObject(existing.content as JsonValue, event.patch)
    if (content === undefined) return edits
    const now = this.#find(event.messageId) ?? existing
    return [...edits, ...this.#replace(now, { ...now, content, activityType: event.activityType } as Message)]
  }

  #encrypt(subtype: 'tool-call' | 'message', id: string, encryptedValue: string): MessageEdit[] {
    if (subtype === 'tool-call') {
      const known = this.#messages.findCall(id)
      return known === undefined ? [] : this.#replaceCall(id, { ...known.call, encryptedValue })
    }
    const message = this.#find(id)
    if (message === undefined || message.role === 'activity') return []
    return this.#replace(message, { ...message, encryptedValue })
  }
}

/** The edit by which a tool message answers its call. */
export function answerOf(message: Message & { readonly role: 'tool' }): MessageEdit {
  const { id, toolCallId, error } = message
  const status = error === undefined ? 'result' : 'error'
  return { type: 'call-status', callId: toolCallId, status, resultId: id }
}

function withMetadata(call: ToolCall, metadata: Metadata | undefined): ToolCall {
  return metadata === undefined
    ? call
    : { ...call, metadata: mergeMetadata(call.metadata, metadata) as Metadata }
}
