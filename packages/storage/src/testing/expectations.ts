import { isPolyphonyError, type ErrorCode } from '@polyphony/core'

/** Assertions of the suites, so that they depend on no test runner. Each throws an `Error` that says what was wrong. */

/** Deep equality of plain data and byte arrays; members that are `undefined` count as absent. */
export function expectEqual(actual: unknown, expected: unknown, what: string): void {
  if (!isEqual(actual, expected)) throw new Error(`${what}: got ${show(actual)}, expected ${show(expected)}`)
}

export function expectTrue(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`Does not hold: ${what}`)
}

/** The promise rejects with a `PolyphonyError` of one of these codes. */
export async function expectRejection(
  promise: Promise<unknown>,
  codes: ErrorCode | readonly ErrorCode[],
  what: string,
): Promise<void> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  if (!('error' in outcome)) throw new Error(`${what}: did not fail but gave ${show(outcome.value)}`)
  expectCode(outcome.error, codes, what)
}

export function expectCode(error: unknown, codes: ErrorCode | readonly ErrorCode[], what: string): void {
  const wanted: readonly string[] = typeof codes === 'string' ? [codes] : codes
  if (!isPolyphonyError(error) || !wanted.includes(error.code))
    throw new Error(`${what}: expected ${wanted.join(' or ')}, got ${String(error)}`, { cause: error })
}

export async function expectTypeError(promise: Promise<unknown>, what: string): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof TypeError)) throw new Error(`${what}: expected a TypeError, got ${String(error)}`)
}

/** Waits until the condition holds; fails after `timeoutMs`. For what a store does some time after a call settled. */
export async function eventually(
  condition: () => Promise<boolean> | boolean,
  what: string,
  timeoutMs = 20_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Did not come about in ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

function isEqual(left: unknown, right: unknown): boolean {
  if (left instanceof Uint8Array || right instanceof Uint8Array) {
    return left instanceof Uint8Array && right instanceof Uint8Array && equalBytes(left, right)
  }
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null)
    return Object.is(left, right)
  if (Array.isArray(left) !== Array.isArray(right)) return false
  const leftMembers = membersOf(left)
  const rightMembers = membersOf(right)
  return (
    leftMembers.size === rightMembers.size &&
    [...leftMembers].every(([key, value]) => rightMembers.has(key) && isEqual(value, rightMembers.get(key)))
  )
}

function membersOf(value: object): Map<string, unknown> {
  return new Map(Object.entries(value).filter(([, member]) => member !== undefined))
}

function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false
  for (let at = 0; at < left.length; at++) if (left[at] !== right[at]) return false
  return true
}

function show(value: unknown): string {
  const text = JSON.stringify(value, (_key, member: unknown) =>
    member instanceof Uint8Array
      ? `<${member.length} bytes: ${[...member.subarray(0, 8)].join(' ')}>`
      : member instanceof Error
        ? String(member)
        : member,
  )
  return text === undefined ? String(value) : text.length > 600 ? `${text.slice(0, 600)}…` : text
}
