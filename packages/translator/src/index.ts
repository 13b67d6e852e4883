/**
 * Yjs to JSON and JSON Patch, and back: incremental, atomic, anchored to what the author saw.
 *
 * @module
 */
export type { EngineOptions, Policy, WriteOptions } from './engine.ts'
export { JsonCursor, type JsonStep } from './json-cursor.ts'
export {
  isJsonArray,
  isJsonObject,
  jsonEquals,
  type JsonArray,
  type JsonObject,
  type JsonPrimitive,
  type JsonValue,
} from './json-value.ts'
export {
  array,
  map,
  reservedPrefix,
  text,
  xml,
  type LayoutOptions,
  type Mount,
  type MountKind,
  type TextMode,
} from './mounts.ts'
export { matchLists, type Match } from './list-match.ts'
export { JsonMirror, patched, type MirrorEvent } from './mirror.ts'
export { applyPatch, applyState, toJson, type OneOffOptions } from './one-off.ts'
export type {
  Conflict,
  ConflictReason,
  JsonPatch,
  PatchOperation,
  PatchResult,
  SplicePatch,
  TextSplice,
} from './patch.ts'
export { formatPointer, parsePointer } from './pointer.ts'
export { collectOrigin, type RetainOptions } from './retention.ts'
export {
  RevisionLog,
  deletesOf,
  increments,
  type LogRevision,
  type RevisionLogOptions,
} from './revision-log.ts'
export { seed } from './seed.ts'
export { diffText, type TextEdit } from './text-diff.ts'
export { Version, advance, compareVersions, equals, parseVersion, type OwnEdits } from './version.ts'
export {
  JsonView,
  type ApplyOptions,
  type AssignOptions,
  type ChangeEvent,
  type DiffOptions,
  type JsonViewOptions,
  type ReadOptions,
} from './view.ts'
export type { YType } from './yjs.ts'
