/**
 * React hooks over a Polyphony document.
 *
 * @module
 */
export { PolyphonyProvider, useDocument, type AnyDocument, type PolyphonyProviderProps } from './provider.ts'
export { useChange } from './use-change.ts'
export { useOpenDocument } from './use-open-document.ts'
export { usePresence, type PresenceResult } from './use-presence.ts'
export { useConnection, useSaved, useStatus, type SavedStatus } from './use-status.ts'
export { useValue } from './use-value.ts'
