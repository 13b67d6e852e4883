/**
 * A shared document for browsers and Node that works offline.
 *
 * @module
 */
export { isPolyphonyError, type ErrorCode, type PolyphonyError } from '@polyphony/core'
export type { JsonArray, JsonObject, JsonPatch, JsonValue, PatchResult } from '@polyphony/translator'
export { PolyphonyDocument, type ChangeOptions, type Recipe } from './document.ts'
export { openDocument, type OpenDocumentOptions } from './open-document.ts'
export { Presence, type PresentClient } from './presence.ts'
export type { ConnectionState, TokenSource } from './server-connection.ts'
export type { DocumentStatus } from './status.ts'
export type { TabChannel, TabLocks, TabPlatform } from './tabs.ts'
export { valueAt } from './value-at.ts'
