import {
  PolyphonyError,
  type Clock,
  type Limits,
  type Logger,
  type Random,
  type Telemetry,
} from '@polyphony/core'
import type { AgentOptions } from './agent-options.ts'
import { AgentRun, type AgentRunOptions } from './agent-run.ts'
import { compileDocumentGlob } from './document-glob.ts'

export interface AgentRunsOptions {
  readonly agents: Readonly<Record<string, AgentOptions>>
  readonly clock: Clock
  readonly random: Random
  readonly limits: Limits
  readonly logger: Logger
  readonly telemetry: Telemetry
}

interface Agent {
  readonly options: AgentOptions
  readonly mayRunIn: (documentId: string) => boolean
}

/** The agents that there are, and their runs on this node. */
export class AgentRuns {
  readonly #options: AgentRunsOptions
  readonly #agents: ReadonlyMap<string, Agent>
  readonly #runs = new Set<AgentRun>()
  readonly #perDocument = new Map<string, number>()
  #stoppedBy: PolyphonyError | undefined
  /** Called when the last place is free, once nobody gets one any more. */
  #allLeft: () => void = () => undefined

  /** Throws `TypeError` for an agent whose address is not one. */
  constructor(options: AgentRunsOptions) {
    this.#options = options
    this.#agents = new Map(
      Object.entries(options.agents).map(([name, agent]) => {
        if (!/^https?:$/.test(URL.canParse(agent.url) ? new URL(agent.url).protocol : ''))
          throw new TypeError(`The address of the agent "${name}" is not an http or https URL`)
        const patterns = (agent.documents ?? ['**']).map(compileDocumentGlob)
        return [name, { options: agent, mayRunIn: (id) => patterns.some((matches) => matches(id)) }]
      }),
    )
  }

  /** The agent of that name. Throws `agent-not-found`, also for one that may not run in the document. */
  find(name: string, documentId: string): AgentOptions {
    const agent = this.#agents.get(name)
    if (agent?.mayRunIn(documentId) === true) return agent.options
    throw new PolyphonyError(
      'agent-not-found',
      `There is no agent "${name.slice(0, 100)}" for "${documentId}".`,
      {
        documentId,
      },
    )
  }

  /** The names of the agents that may run in a document. */
  namesIn(documentId: string): string[] {
    return [...this.#agents].filter(([, { mayRunIn }]) => mayRunIn(documentId)).map(([name]) => name)
  }

  /** Takes a place for a run, until the returned function is called. Throws `too-many-runs`, `shutting-down`. */
  acquire(documentId: string): () => void {
    const { agentRunsMax, documentAgentRunsMax } = this.#options.limits
    if (this.#stoppedBy !== undefined) throw this.#stoppedBy
    const here = this.#perDocument.get(documentId) ?? 0
    const all = [...this.#perDocument.values()].reduce((sum, count) => sum + count, 0)
    const limit =
      here >= documentAgentRunsMax ? 'documentAgentRunsMax' : all >= agentRunsMax ? 'agentRunsMax' : undefined
    if (limit !== undefined) {
      throw new PolyphonyError('too-many-runs', `The limit ${limit} is reached. Try again later.`, {
        documentId,
        limit,
      })
    }
    this.#perDocument.set(documentId, here + 1)
    return () => {
      const left = (this.#perDocument.get(documentId) ?? 1) - 1
      if (left === 0) this.#perDocument.delete(documentId)
      else this.#perDocument.set(documentId, left)
      if (this.#perDocument.size === 0) this.#allLeft()
    }
  }

  /** Begins a run, for which there must be a place. `release` is called when it is over. Throws `shutting-down`. */
  start(run: Omit<AgentRunOptions, keyof Omit<AgentRunsOptions, 'agents'>>, release: () => void): AgentRun {
    const { clock, random, limits, logger, telemetry } = this.#options
    const { documentId } = run.handle
    if (this.#stoppedBy !== undefined) throw this.#stoppedBy
    logger.info({ documentId, agent: run.name, runId: run.authorship.runId }, 'agent run started')
    const started = new AgentRun({ ...run, clock, random, limits, logger, telemetry })
    this.#runs.add(started)
    void started.ended.then(() => {
      this.#runs.delete(started)
      release()
    })
    return started
  }

  /** Ends all runs, also those that are about to begin, and lets no more begin. Resolves when the documents know. */
  async stop(): Promise<void> {
    const error = new PolyphonyError(
      'shutting-down',
      'The server is shutting down; start the run again in a moment.',
    )
    this.#stoppedBy = error
    const left = new Promise<void>((resolve) => {
      this.#allLeft = resolve
    })
    await Promise.all([...this.#runs].map((run) => run.stop(error)))
    if (this.#perDocument.size > 0) await left
  }
}
