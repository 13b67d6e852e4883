import {
  EventType,
  type Event,
  type ReasoningMessageChunkEvent,
  type TextMessageChunkEvent,
  type ToolCallChunkEvent,
} from '@ag-ui/core'
import { PolyphonyError } from '@polyphony/core'

type Chunk = TextMessageChunkEvent | ToolCallChunkEvent | ReasoningMessageChunkEvent
type Kind = 'text' | 'tool' | 'reasoning'

interface Lane {
  readonly kind: Kind
  readonly id: string
  readonly opener: Chunk
}

/**
 * Turns the short forms (TEXT_MESSAGE_CHUNK, TOOL_CALL_CHUNK, REASONING_MESSAGE_CHUNK) into START, CONTENT and END, as
 * the official client does. Every subagent, and the agent itself, has at most one chunked thing under way; whatever else
 * it sends closes that. Throws `agent-failed` for chunks that continue nothing or contradict how they began.
 */
export class ChunkExpander {
  readonly #lanes = new Map<string | undefined, Lane>()

  expand(event: Event): readonly Event[] {
    if (event.type === EventType.TEXT_MESSAGE_CHUNK) return this.#chunk('text', event.messageId, event)
    if (event.type === EventType.TOOL_CALL_CHUNK) return this.#chunk('tool', event.toolCallId, event)
    if (event.type === EventType.REASONING_MESSAGE_CHUNK)
      return this.#chunk('reasoning', event.messageId, event)
    if (closesNothing.has(event.type)) return [event]
    const owners = closesAll.has(event.type) ? [...this.#lanes.keys()] : [ownerOf(event)]
    return [...owners.flatMap((owner) => this.#close(owner)), event]
  }

  #close(owner: string | undefined): Event[] {
    const lane = this.#lanes.get(owner)
    if (lane === undefined) return []
    this.#lanes.delete(owner)
    return [{ ...made[lane.kind].end(lane.id), ...attribution(lane.opener.subagentRunId) }]
  }

  #chunk(kind: Kind, id: string | undefined, chunk: Chunk): Event[] {
    const owner = this.#laneOf(kind, id, chunk)
    const open = this.#lanes.get(owner)
    const events: Event[] = []
    let lane = open
    if (open?.kind === kind && (id === undefined || id === open.id)) requireAgreement(open, chunk)
    else {
      events.push(...this.#close(owner))
      if (id === undefined) throw failed(`The first ${chunk.type} has no id.`)
      lane = { kind, id, opener: chunk }
      this.#lanes.set(owner, lane)
      events.push({ ...made[kind].start(id, chunk), ...carried(chunk), ...attribution(chunk.subagentRunId) })
    }
    if (lane === undefined) return events
    const continues = events.length === 0 && chunk.metadata !== undefined
    if (chunk.delta !== undefined || chunk.rawEvent !== undefined || continues)
      events.push({
        ...made[kind].content(lane.id, chunk.delta ?? ''),
        ...carried(chunk),
        ...(chunk.rawEvent === undefined ? {} : { rawEvent: chunk.rawEvent }),
        ...attribution(chunk.subagentRunId ?? lane.opener.subagentRunId),
      })
    return events
  }

  /** Whose a chunk is: of whoever has its id open, else of whom it names, else of the only one it can continue. */
  #laneOf(kind: Kind, id: string | undefined, { type, subagentRunId }: Chunk): string | undefined {
    const open = [...this.#lanes].filter(([, lane]) => lane.kind === kind)
    if (id !== undefined) {
      const [holder] = open.find(([, lane]) => lane.id === id) ?? [subagentRunId]
      if (subagentRunId !== undefined && holder !== subagentRunId)
        throw failed(`A ${type} continues "${id}" of another subagent.`)
      return holder
    }
    if (subagentRunId !== undefined || open.some(([owner]) => owner === undefined)) return subagentRunId
    if (open.length > 1) throw failed(`A ${type} could continue several things; it names none.`)
    return open[0]?.[0]
  }
}

const closesAll: ReadonlySet<EventType> = new Set([
  EventType.RUN_STARTED,
  EventType.RUN_FINISHED,
  EventType.RUN_ERROR,
  EventType.MESSAGES_SNAPSHOT,
])

const closesNothing: ReadonlySet<EventType> = new Set([
  EventType.RAW,
  EventType.ACTIVITY_SNAPSHOT,
  EventType.ACTIVITY_DELTA,
  EventType.REASONING_ENCRYPTED_VALUE,
  EventType.SUBAGENT_STARTED,
])

function ownerOf(event: Event): string | undefined {
  return 'subagentRunId' in event ? event.subagentRunId : undefined
}

const made = {
  text: {
    start: (messageId: string, chunk: Chunk): Event => ({
      type: EventType.TEXT_MESSAGE_START,
      messageId,
      role: ('role' in chunk ? chunk.role : undefined) ?? 'assistant',
      ...('name' in chunk && chunk.name !== undefined ? { name: chunk.name } : {}),
    }),
    content: (messageId: string, delta: string): Event => ({
      type: EventType.TEXT_MESSAGE_CONTENT,
      messageId,
      delta,
    }),
    end: (messageId: string): Event => ({ type: EventType.TEXT_MESSAGE_END, messageId }),
  },
  tool: {
    start: (toolCallId: string, chunk: Chunk): Event => {
      const toolCallName = 'toolCallName' in chunk ? chunk.toolCallName : undefined
      if (toolCallName === undefined) throw failed('The first TOOL_CALL_CHUNK has no toolCallName.')
      const parent = 'parentMessageId' in chunk ? chunk.parentMessageId : undefined
      return {
        type: EventType.TOOL_CALL_START,
        toolCallId,
        toolCallName,
        ...(parent === undefined ? {} : { parentMessageId: parent }),
      }
    },
    content: (toolCallId: string, delta: string): Event => ({
      type: EventType.TOOL_CALL_ARGS,
      toolCallId,
      delta,
    }),
    end: (toolCallId: string): Event => ({ type: EventType.TOOL_CALL_END, toolCallId }),
  },
  reasoning: {
    start: (messageId: string): Event => ({
      type: EventType.REASONING_MESSAGE_START,
      messageId,
      role: 'reasoning',
    }),
    content: (messageId: string, delta: string): Event => ({
      type: EventType.REASONING_MESSAGE_CONTENT,
      messageId,
      delta,
    }),
    end: (messageId: string): Event => ({ type: EventType.REASONING_MESSAGE_END, messageId }),
  },
} as const

/** What a chunk repeats of its opener must be the same. */
function requireAgreement({ kind, id, opener }: Lane, chunk: Chunk): void {
  const fields = { text: ['role', 'name'], tool: ['toolCallName', 'parentMessageId'], reasoning: [] }[kind]
  const repeated = chunk as unknown as Readonly<Record<string, unknown>>
  const first = opener as unknown as Readonly<Record<string, unknown>>
  for (const field of fields) {
    const established = first[field] ?? (field === 'role' ? 'assistant' : undefined)
    if (repeated[field] !== undefined && repeated[field] !== established)
      throw failed(`A chunk of "${id}" says another ${field} than the first.`)
  }
}

function carried(chunk: Chunk): { readonly metadata?: NonNullable<Chunk['metadata']> } {
  return chunk.metadata === undefined ? {} : { metadata: chunk.metadata }
}

function attribution(subagentRunId: string | undefined): { readonly subagentRunId?: string } {
  return subagentRunId === undefined ? {} : { subagentRunId }
}

function failed(message: string): PolyphonyError {
  return new PolyphonyError('agent-failed', message)
}
