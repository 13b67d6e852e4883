/**
 * A shared document for browsers and Node that works offline.
 *
 * @module
 */
export { isPolyphonyError, type ErrorCode, type PolyphonyError } from '@polyphony/core'
