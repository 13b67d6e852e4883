/** The members of an event that its place in a stream depends on. */
export interface CheckedEvent {
  readonly type: string
  readonly messageId?: string | undefined
  readonly toolCallId?: string | undefined
  readonly stepName?: string | undefined
  readonly subagentRunId?: string | undefined
}

interface Bracket {
  /** What is opened and closed, for messages. */
  readonly what: string
  readonly id: 'messageId' | 'toolCallId' | 'stepName' | 'subagentRunId'
  readonly role: 'opens' | 'continues' | 'closes'
}

const text = { what: 'text message', id: 'messageId' } as const
const toolCall = { what: 'tool call', id: 'toolCallId' } as const
const step = { what: 'step', id: 'stepName' } as const
const span = { what: 'reasoning span', id: 'messageId' } as const
const reasoning = { what: 'reasoning message', id: 'messageId' } as const
const subagent = { what: 'subagent', id: 'subagentRunId' } as const

const brackets: Readonly<Record<string, Bracket>> = {
  TEXT_MESSAGE_START: { ...text, role: 'opens' },
  TEXT_MESSAGE_CONTENT: { ...text, role: 'continues' },
  TEXT_MESSAGE_END: { ...text, role: 'closes' },
  TOOL_CALL_START: { ...toolCall, role: 'opens' },
  TOOL_CALL_ARGS: { ...toolCall, role: 'continues' },
  TOOL_CALL_END: { ...toolCall, role: 'closes' },
  STEP_STARTED: { ...step, role: 'opens' },
  STEP_FINISHED: { ...step, role: 'closes' },
  REASONING_START: { ...span, role: 'opens' },
  REASONING_END: { ...span, role: 'closes' },
  REASONING_MESSAGE_START: { ...reasoning, role: 'opens' },
  REASONING_MESSAGE_CONTENT: { ...reasoning, role: 'continues' },
  REASONING_MESSAGE_END: { ...reasoning, role: 'closes' },
  SUBAGENT_STARTED: { ...subagent, role: 'opens' },
  SUBAGENT_FINISHED: { ...subagent, role: 'closes' },
  SUBAGENT_ERROR: { ...subagent, role: 'closes' },
}

/**
 * Checks the order of the events of a stream as the official client 1.0.0 does: runs follow one another, inside a run
 * everything that is opened is closed, and state events may come anywhere. It looks at the order only, neither at the
 * shape of events nor at which subagent owns what.
 */
export class RunChecker {
  #status: 'before' | 'running' | 'finished' | 'failed' = 'before'
  readonly #open = new Map<string, Set<string>>()
  readonly #doneSubagents = new Set<string>()

  /** What is wrong with the next event of the stream; `undefined` when nothing is. After a fault, stop. */
  next(event: CheckedEvent): string | undefined {
    const { type } = event
    const isStart = type === 'RUN_STARTED'
    const isFailure = type === 'RUN_ERROR'
    if (this.#status === 'before' && !isStart && !isFailure)
      return 'The first event is RUN_STARTED or RUN_ERROR.'
    if (this.#status === 'running' && isStart) return 'RUN_STARTED before the run under way has ended.'
    if (this.#status === 'finished' && !isStart && !isFailure) return `${type} after RUN_FINISHED.`
    if (this.#status === 'failed' && !isStart) return `${type} after RUN_ERROR.`
    if (isStart) return this.#start()
    if (isFailure) {
      this.#status = 'failed'
      return undefined
    }
    if (type === 'RUN_FINISHED') return this.#finish()
    const bracket = Object.hasOwn(brackets, type) ? brackets[type] : undefined
    return bracket === undefined ? undefined : this.#bracket(bracket, event)
  }

  #start(): undefined {
    this.#status = 'running'
    this.#open.clear()
    this.#doneSubagents.clear()
    return undefined
  }

  #finish(): string | undefined {
    for (const [what, ids] of this.#open) {
      const [id] = ids
      if (id !== undefined) return `RUN_FINISHED while the ${what} "${id}" is open.`
    }
    this.#status = 'finished'
    return undefined
  }

  #bracket({ what, id, role }: Bracket, event: CheckedEvent): string | undefined {
    const name = event[id]
    if (name === undefined) return `${event.type} without ${id}.`
    const open = this.#open.get(what) ?? new Set()
    this.#open.set(what, open)
    if (role !== 'opens') {
      if (!open.has(name)) return `${event.type} for the ${what} "${name}", which is not open.`
      if (role === 'closes') open.delete(name)
      if (what === 'subagent') this.#doneSubagents.add(name)
      return undefined
    }
    if (open.has(name)) return `${event.type} for the ${what} "${name}", which is open already.`
    if (what === 'subagent' && this.#doneSubagents.has(name))
      return `The subagent "${name}" has ended before.`
    open.add(name)
    return undefined
  }
}
