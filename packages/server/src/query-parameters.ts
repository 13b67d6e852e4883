import { PolyphonyError } from '@polyphony/core'

/** `?path=` as a JSON pointer; '' when it is absent. Throws `invalid-request`. */
export function pointerParameter(query: URLSearchParams): string {
  const pointer = query.get('path') ?? ''
  if (pointer.length > 4_096 || !/^(\/([^/~]|~[01])*)*$/.test(pointer)) {
    throw new PolyphonyError(
      'invalid-request',
      '"path" is a JSON pointer (RFC 6901) of at most 4,096 characters.',
    )
  }
  return pointer
}

/** A whole number from 1 to `max`. Throws `invalid-request`. */
export function countParameter(
  query: URLSearchParams,
  name: string,
  bounds: { readonly default: number; readonly max: number },
): number {
  const text = query.get(name)
  if (text === null) return bounds.default
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (value >= 1 && value <= bounds.max) return value
  throw new PolyphonyError('invalid-request', `"${name}" is a whole number from 1 to ${bounds.max}.`)
}
