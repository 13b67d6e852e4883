export { isPolyphonyError } from '@polyphony/core'
