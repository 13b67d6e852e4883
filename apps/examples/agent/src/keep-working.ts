import type { DocumentAddress } from './document-address.ts'
import { nextStep } from './next-step.ts'
import { readPageState } from './page-state.ts'
import { pause } from './pause.ts'
import { watchDocument } from './watch-document.ts'
import { holdMs, work, type WorkOptions, type WorkReport } from './work.ts'

export interface KeepWorkingOptions extends WorkOptions {
  /** How long nobody may have changed anything before it starts, so that it does not fall into people's words. Default 1,500. */
  readonly quietMs?: number
  readonly onReport?: (report: WorkReport) => void
}

/** Works whenever there is something to do and people pause, until `signal` is aborted. */
export async function keepWorking(address: DocumentAddress, options: KeepWorkingOptions): Promise<void> {
  const { signal, quietMs = 1_500 } = options
  let state: unknown
  let changedAt = performance.now()
  let wake = (): void => undefined
  const ended = new AbortController()
  const stop = (): void => ended.abort()
  signal.addEventListener('abort', stop)
  const onSight = (sight: { readonly state: unknown }): void => {
    state = sight.state
    changedAt = performance.now()
    wake()
  }
  const watching = watchDocument(address, { onSight }, ended.signal)
  const working = (async () => {
    while (!ended.signal.aborted) {
      const change = new Promise<void>((resolve) => (wake = resolve))
      const quietInMs = changedAt + quietMs - performance.now()
      const hasWork = nextStep(readPageState(state)) !== undefined
      if (hasWork && quietInMs > 0) await pause(quietInMs, ended.signal)
      else if (hasWork) {
        const report = await work(address, { ...options, signal: ended.signal })
        options.onReport?.(report)
        // Its own edits come back as changes, unless another agent is at work: then it looks in again later.
        if (report.outcome === 'busy') await Promise.race([change, pause(holdMs, ended.signal)])
      } else await Promise.race([change, pause(60_000, ended.signal)])
    }
  })()
  try {
    await Promise.race([watching, working])
  } finally {
    ended.abort()
    signal.removeEventListener('abort', stop)
    await Promise.allSettled([watching, working])
  }
}
