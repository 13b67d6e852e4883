export { openRedisBus, RedisBus } from './redis-bus.ts'
export type { RedisConnectionOptions, RedisStoreOptions, SentinelOptions } from './redis-options.ts'
export { openRedisStore, RedisStore } from './redis-store.ts'
