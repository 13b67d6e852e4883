/** The state that people and the agent share, as its JSON projection shows it. */
export interface PageState {
  /** Markdown. */
  readonly text: string
  readonly tasks: readonly Task[]
  readonly agent: AgentPresence
}

export interface Task {
  readonly id: string
  readonly title: string
  readonly done: boolean
  /** For a task that stands in the text: whether its box was ticked there when the agent last looked. */
  readonly inText?: boolean
}

/** What everybody sees of the agent. Whoever holds it until `untilMs` is the one agent that works. */
export interface AgentPresence {
  readonly holder: string
  readonly status: 'resting' | 'working'
  /** What it does, or did last. */
  readonly note: string
  readonly untilMs: number
}

export const restingAgent: AgentPresence = { holder: '', status: 'resting', note: '', untilMs: 0 }

/** A document that nobody has written in. */
export const emptyPage: PageState = { text: '', tasks: [], agent: restingAgent }

/** Reads a projection; what is missing or has another shape counts as empty, since anybody may write anything. */
export function readPageState(json: unknown): PageState {
  const { text, tasks, agent } = recordOf(json)
  return {
    text: typeof text === 'string' ? text : '',
    tasks: Array.isArray(tasks) ? tasks.map(readTask) : [],
    agent: readAgent(agent),
  }
}

// Elements that are no tasks keep their place: patches address tasks by their index.
function readTask(json: unknown): Task {
  const { id, title, done, inText } = recordOf(json)
  return {
    id: typeof id === 'string' ? id : '',
    title: typeof title === 'string' ? title : '',
    done: done === true,
    ...(typeof inText === 'boolean' ? { inText } : {}),
  }
}

function readAgent(json: unknown): AgentPresence {
  const { holder, status, note, untilMs } = recordOf(json)
  return {
    holder: typeof holder === 'string' ? holder : '',
    status: status === 'working' ? 'working' : 'resting',
    note: typeof note === 'string' ? note : '',
    untilMs: typeof untilMs === 'number' ? untilMs : 0,
  }
}

function recordOf(json: unknown): Readonly<Record<string, unknown>> {
  return typeof json === 'object' && json !== null && !Array.isArray(json) ? { ...json } : {}
}
