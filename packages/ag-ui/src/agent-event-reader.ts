import type { Event } from '@ag-ui/core'
import { EventSchema } from '@ag-ui/core/schemas'
import { PolyphonyError } from '@polyphony/core'
import { z } from 'zod'
import { ChunkExpander } from './chunk-expander.ts'
import { RunChecker } from './run-checker.ts'

const known: ReadonlySet<string> = new Set(EventSchema.options.map((option) => option.shape.type.value))

/** Members that may be null because any JSON may stand there. */
const mayBeNull: ReadonlySet<string> = new Set(['snapshot', 'value', 'event'])

/**
 * Reads what an agent sends as the official client does: events of types that nobody knows are dropped, malformed ones
 * and ones that come out of order throw `agent-failed`; old shapes (THINKING_*, nulls for what is absent) become their
 * successors, chunks what they stand for.
 */
export class AgentEventReader {
  readonly #expander = new ChunkExpander()
  readonly #checker = new RunChecker()
  readonly #newId: () => string
  #thinkingId = ''
  #thoughtId = ''

  /** @param newId ids for events of old agents, which name none */
  constructor(newId: () => string) {
    this.#newId = newId
  }

  /** The events that one JSON value of the stream stands for. */
  read(value: unknown): readonly Event[] {
    const event = this.#parse(value)
    if (event === undefined) return []
    const events = this.#expander.expand(event)
    for (const next of events) {
      const fault = this.#checker.next(next)
      if (fault !== undefined)
        throw new PolyphonyError('agent-failed', `The agent's events are out of order. ${fault}`)
    }
    return events
  }

  #parse(value: unknown): Event | undefined {
    if (typeof value !== 'object' || value === null || !('type' in value) || typeof value.type !== 'string') {
      throw new PolyphonyError('agent-failed', 'The agent sent something that is not an event.')
    }
    const current = this.#modernise(withoutNulls(value))
    if (!known.has(String(current.type))) return undefined
    const parsed = EventSchema.safeParse(current)
    if (parsed.success) return parsed.data as Event
    throw new PolyphonyError(
      'agent-failed',
      `The agent sent a malformed ${String(current.type)}. ${z.prettifyError(parsed.error)}`.slice(0, 2_000),
    )
  }

  #modernise(event: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
    switch (event.type) {
      case 'THINKING_START':
        this.#thinkingId = this.#newId()
        return { ...event, type: 'REASONING_START', messageId: this.#thinkingId }
      case 'THINKING_END':
        return { ...event, type: 'REASONING_END', messageId: this.#thinkingId }
      case 'THINKING_TEXT_MESSAGE_START':
        this.#thoughtId = this.#newId()
        return { ...event, type: 'REASONING_MESSAGE_START', messageId: this.#thoughtId, role: 'reasoning' }
      case 'THINKING_TEXT_MESSAGE_CONTENT':
        return { ...event, type: 'REASONING_MESSAGE_CONTENT', messageId: this.#thoughtId }
      case 'THINKING_TEXT_MESSAGE_END':
        return { ...event, type: 'REASONING_MESSAGE_END', messageId: this.#thoughtId }
      default:
        return event
    }
  }
}

function withoutNulls(event: object): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(event).filter(([name, value]) => value !== null || mayBeNull.has(name)),
  )
}
