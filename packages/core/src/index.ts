export { systemClock, type Clock } from './clock.ts'
export { parseDocumentId } from './document-id.ts'
export {
  PolyphonyError,
  assert,
  assertNever,
  errorTable,
  isPolyphonyError,
  toPolyphonyError,
  type ErrorCode,
  type ErrorDetails,
} from './errors.ts'
export { IdSet, type ClockRange } from './id-set.ts'
export { isFixedLimit, limitTable, resolveLimits, type LimitName, type Limits } from './limits.ts'
export { silentLogger, type Logger } from './logger.ts'
export { systemRandom, type Random } from './random.ts'
export { silentTelemetry, type Telemetry } from './telemetry.ts'
export { inSlices, startSlices, Turns, type SlicedWork } from './slices.ts'
