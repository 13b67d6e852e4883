export { AppendLoad, type AcknowledgedEntry, type LoadedStore } from './append-load.ts'
export { findBinary, requireBinary } from './binaries.ts'
export { openFaultyLink, type FaultyLink, type LinkFault } from './faulty-link.ts'
export { findFreePort } from './free-port.ts'
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
export { ServiceProcess, type ServiceCommand, type SystemUser } from './service-process.ts'
