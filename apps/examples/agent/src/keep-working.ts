import type { DocumentAddress } from './document-address.ts'
import { openAgent } from './document-agent.ts'
import { nextStep } from './next-step.ts'
import { readPageState } from './page-state.ts'
import { pause } from './pause.ts'
import { holdMs, workOn, type WorkOptions, type WorkReport } from './work.ts'

export interface KeepWorkingOptions extends WorkOptions {
  /** How long nobody may have changed anything before it starts, so that it does not fall into people's words. Default 1,500. */
  readonly quietMs?: number
  readonly onReport?: (report: WorkReport) => void
}

/** Works whenever there is something to do and people pause, until `signal` is aborted. Rejects when the server refuses. */
export async function keepWorking(address: DocumentAddress, options: KeepWorkingOptions): Promise<void> {
  const { quietMs = 1_500 } = options
  const agent = openAgent(address)
  let changedAt = performance.now()
  let wake = (): void => undefined
  agent.subscribe({
    onStateChanged: () => {
      changedAt = performance.now()
      wake()
    },
  })
  const ended = new AbortController()
  const signal = AbortSignal.any([options.signal, ended.signal])
  const stop = (): void => agent.abortRun()
  signal.addEventListener('abort', stop)
  const watching = agent.connectAgent()
  const working = (async () => {
    while (!signal.aborted) {
      const change = new Promise<void>((resolve) => (wake = resolve))
      const quietInMs = changedAt + quietMs - performance.now()
      const hasWork = agent.version !== undefined && nextStep(readPageState(agent.state)) !== undefined
      if (hasWork && quietInMs > 0) await pause(quietInMs, signal)
      else if (hasWork) {
        const report = await workOn(agent, { ...options, signal })
        options.onReport?.(report)
        // Its own edits come back as changes, unless another agent is at work: then it looks in again later.
        if (report.outcome === 'busy') await Promise.race([change, pause(holdMs, signal)])
      } else await Promise.race([change, pause(60_000, signal)])
    }
  })()
  try {
    await Promise.race([watching, working])
  } finally {
    ended.abort()
    await Promise.allSettled([watching, working])
    signal.removeEventListener('abort', stop)
  }
}
