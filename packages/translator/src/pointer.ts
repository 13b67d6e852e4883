import { PolyphonyError, type ErrorCode } from '@polyphony/core'

/** Splits an RFC 6901 JSON pointer into its unescaped tokens. Throws `code` for anything else. */
export function parsePointer(pointer: string, code: ErrorCode = 'invalid-patch'): string[] {
  if (pointer === '') return []
  if (!pointer.startsWith('/'))
    throw new PolyphonyError(code, `A JSON pointer is empty or starts with "/", not "${clip(pointer)}"`)
  if (/~(?![01])/.test(pointer))
    throw new PolyphonyError(code, `"~" must be followed by 0 or 1 in the JSON pointer "${clip(pointer)}"`)
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
}

export function formatPointer(tokens: readonly (string | number)[]): string {
  let pointer = ''
  for (const token of tokens) pointer += `/${escapeToken(token)}`
  return pointer
}

export function escapeToken(token: string | number): string {
  if (typeof token === 'number') return String(token)
  return /[~/]/.test(token) ? token.replaceAll('~', '~0').replaceAll('/', '~1') : token
}

/** The array index that a token stands for, or `undefined`: digits without leading zeros. */
export function parseIndex(token: string): number | undefined {
  return /^(?:0|[1-9]\d{0,15})$/.test(token) ? Number(token) : undefined
}

/** For messages: pointers come from outside and can be of any length. */
export function clip(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
