export { authorizationOf, documentUrl, type DocumentAddress } from './document-address.ts'
export type { PatchOperation } from './json-patch.ts'
export { openAgent } from './document-agent.ts'
export { keepWorking, type KeepWorkingOptions } from './keep-working.ts'
export { nextStep } from './next-step.ts'
export {
  emptyPage,
  readPageState,
  restingAgent,
  type AgentPresence,
  type PageState,
  type Task,
} from './page-state.ts'
export type { Step } from './step.ts'
export { watchDocument, type Sight, type WatchListeners } from './watch-document.ts'
export { work, type WorkOptions, type WorkReport } from './work.ts'
