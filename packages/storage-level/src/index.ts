export { LevelStore } from './level-store.ts'
export type { AnyLevel } from './level-database.ts'
export { openLevelStore, type LevelStoreOptions } from './open-level-store.ts'
