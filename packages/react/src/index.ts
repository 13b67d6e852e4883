/**
 * React hooks over a Polyphony document.
 *
 * @module
 */
export { isPolyphonyError } from '@polyphony/client'
