export {
  loopbackOnly,
  requireAccess,
  type Access,
  type AuthorizationRequest,
  type Authorize,
  type Principal,
} from './authorization.ts'
export { defaultCheckpointPolicy, type CheckpointPolicy } from './checkpointer.ts'
export { compileDocumentGlob } from './document-glob.ts'
export type { Authorship, DocumentHandle, Documents, EditOutcome } from './document-handle.ts'
export { jwtAuthorizer } from './jwt.ts'
export { metricSpecs, metricTable, type MetricName } from './metric-table.ts'
export { createMetrics, type Metrics } from './metrics.ts'
export { createPolyphonyServer, type PolyphonyServer, type PolyphonyServerOptions } from './server.ts'
