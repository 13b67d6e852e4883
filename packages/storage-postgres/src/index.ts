export { openPostgresBus, PostgresBus } from './postgres-bus.ts'
export type { PostgresConnectionOptions, PostgresStoreOptions } from './postgres-options.ts'
export { openPostgresStore, PostgresStore } from './postgres-store.ts'
