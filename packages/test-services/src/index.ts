export { AppendLoad, type AcknowledgedEntry, type LoadedStore } from './append-load.ts'
export { findBinary, requireBinary } from './binaries.ts'
export { tryEveryRequestFault, type RequestFaultPlace } from './every-request.ts'
export { openFaultyLink, type FaultyLink, type LinkFault, type RequestFault } from './faulty-link.ts'
export { expectAcknowledged, FollowedLog } from './followed-log.ts'
export { findFreePort } from './free-port.ts'
export { buildForChildren, KilledWriters, type ReadableStore, type WriterStore } from './killed-writer.ts'
export { numberedState, numberedUpdate } from './numbered-update.ts'
export { hasPgbouncer, startPgbouncer } from './pgbouncer-service.ts'
export {
  findPostgres,
  startPostgres,
  type PostgresService,
  type PostgresServiceOptions,
} from './postgres-service.ts'
export {
  findRedis,
  startRedis,
  startRedisSentinel,
  type RedisService,
  type RedisServiceOptions,
  type ServiceAddress,
} from './redis-service.ts'
export { killSeed, seededRandom } from './seeded-random.ts'
export { ServiceProcess, type ServiceCommand, type SystemUser } from './service-process.ts'
