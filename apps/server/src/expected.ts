/** Thrown by the parser of a setting: what the value should have been. */
export class Expected extends Error {
  override readonly name = 'Expected'
}
