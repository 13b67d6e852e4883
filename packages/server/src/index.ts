export type { AgentOptions } from './agent-options.ts'
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
export type { Authorship, DocumentHandle, Documents, EditOptions, EditOutcome } from './document-handle.ts'
export { jwtAuthorizer } from './jwt.ts'
export { metricSpecs, metricTable, type MetricName } from './metric-table.ts'
export { createMetrics, type Metrics } from './metrics.ts'
export type { PointerScope } from './pointer-scope.ts'
export { createPolyphonyServer, type PolyphonyServer, type PolyphonyServerOptions } from './server.ts'
export { readGrants, type Grant } from './token-grants.ts'
export { statePieces, type StatePiece } from './state-pieces.ts'
