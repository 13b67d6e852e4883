import { endSilentRuns, readRuns } from '@polyphony/ag-ui'
import type { Clock, Logger } from '@polyphony/core'
import type { DocumentHandle } from './document-handle.ts'

export interface SilentRunsOptions {
  readonly handle: Pick<DocumentHandle, 'documentId' | 'read' | 'edit' | 'onAdvance'>
  readonly clock: Clock
  readonly logger: Logger
  /** How long a run may show no sign of life. */
  readonly runSilentMs: number
}

/** The last sign of life of a run, as it stands in the document, and when it was seen here. */
interface Sign {
  readonly aliveAtMs: number
  readonly seenAtMs: number
}

/**
 * Ends the runs of a document whose process is gone, wherever that was, while somebody watches the document here. A run
 * counts as silent when its sign of life has not changed for `runSilentMs` by this node's own clock, so that clocks that
 * differ end nothing that lives; it ends at most one and a half times `runSilentMs` after its last sign. Looks at most four
 * times in that span, and not at all in a document that nobody changes and in which nothing runs.
 */
export class SilentRuns {
  readonly #options: SilentRunsOptions
  readonly #forgetAdvance: () => void
  #signs: ReadonlyMap<string, Sign> = new Map()
  #cancel: (() => void) | undefined
  #isStopped = false

  constructor(options: SilentRunsOptions) {
    this.#options = options
    this.#forgetAdvance = options.handle.onAdvance(() => this.#schedule())
    void this.#look()
  }

  stop(): void {
    this.#isStopped = true
    this.#forgetAdvance()
    this.#cancel?.()
  }

  #schedule(): void {
    if (this.#isStopped || this.#cancel !== undefined) return
    this.#cancel = this.#options.clock.after(this.#options.runSilentMs / 4, () => {
      this.#cancel = undefined
      void this.#look()
    })
  }

  async #look(): Promise<void> {
    const { handle, clock, logger, runSilentMs } = this.#options
    try {
      const running = await handle.read(({ doc }) =>
        readRuns(doc).filter(({ status }) => status === 'running'),
      )
      const nowMs = clock.now()
      this.#signs = new Map(
        running.map(({ runId, aliveAtMs }) => {
          const known = this.#signs.get(runId)
          return [runId, known?.aliveAtMs === aliveAtMs ? known : { aliveAtMs, seenAtMs: nowMs }]
        }),
      )
      const isSilent = (runId: string, aliveAtMs: number): boolean => {
        const sign = this.#signs.get(runId)
        return sign?.aliveAtMs === aliveAtMs && nowMs - sign.seenAtMs >= runSilentMs
      }
      if (!this.#isStopped && running.some((run) => isSilent(run.runId, run.aliveAtMs))) {
        const { result } = await handle.edit({ author: 'polyphony' }, ({ doc }) =>
          endSilentRuns(doc, nowMs, ({ runId, aliveAtMs }) => isSilent(runId, aliveAtMs)),
        )
        logger.warn({ documentId: handle.documentId, runs: result }, 'silent agent runs ended')
      }
    } catch (error) {
      // The document closes, or its store fails: whoever watches is told; the next look tries again.
      logger.debug({ documentId: handle.documentId, error: String(error) }, 'agent runs not looked at')
    }
    if (this.#signs.size > 0) this.#schedule()
  }
}
