import { clone, equal, isObject, type Json, type Operation } from './json.ts'

export class PatchFailure extends Error {
  readonly index: number

  constructor(index: number, message: string) {
    super(`operation ${index}: ${message}`)
    this.index = index
  }
}

/**
 * RFC 6902 to the letter, on plain JSON, by copying: what the engine's way in and way out are held against.
 * Throws `PatchFailure` for everything that the RFC calls an error; the input is never changed.
 */
export function applyStrict(document: Json, patch: readonly Operation[]): Json {
  // The document hangs under a holder, so that the root is a member like any other.
  const holder: { root: Json } = { root: clone(document) }
  if (!Array.isArray(patch)) throw new PatchFailure(0, 'a patch is an array')
  patch.forEach((operation, index) => {
    const fail = (message: string): never => {
      throw new PatchFailure(index, message)
    }
    step(holder, operation, fail)
  })
  return holder.root
}

type Fail = (message: string) => never

function step(holder: { root: Json }, operation: Operation, fail: Fail): void {
  if (!isObject(operation)) fail('an operation is an object')
  const path = parse(operation.path, fail)
  switch (operation.op) {
    case 'add':
      return add(holder, path, clone(needValue(operation, fail)), fail)
    case 'remove':
      remove(holder, path, fail)
      return
    case 'replace':
      read(holder, path, fail)
      return write(holder, path, clone(needValue(operation, fail)), fail)
    case 'test':
      if (!equal(read(holder, path, fail), needValue(operation, fail))) fail('test failed')
      return
    case 'copy':
      return add(holder, path, clone(read(holder, parse(operation.from, fail), fail)), fail)
    case 'move': {
      const from = parse(operation.from, fail)
      const value = read(holder, from, fail)
      if (path.length > from.length && from.every((token, i) => token === path[i]))
        fail('a value cannot move into itself')
      if (path.length === from.length && from.every((token, i) => token === path[i])) return
      remove(holder, from, fail)
      return add(holder, path, value, fail)
    }
    default:
      fail(`unknown operation ${JSON.stringify((operation as { op: unknown }).op)}`)
  }
}

function needValue(operation: Operation, fail: Fail): Json {
  if (!Object.hasOwn(operation, 'value') || operation.value === undefined) return fail('value is missing')
  return operation.value
}

function parse(path: unknown, fail: Fail): string[] {
  if (typeof path !== 'string') return fail('a pointer is a string')
  if (path === '') return []
  if (!path.startsWith('/')) return fail('a pointer starts with a slash')
  return path
    .slice(1)
    .split('/')
    .map((token) => {
      if (/~(?![01])/.test(token)) fail('a tilde must be followed by 0 or 1')
      return token.replaceAll('~1', '/').replaceAll('~0', '~')
    })
}

function index(token: string, lengthMax: number, fail: Fail): number {
  if (!/^(0|[1-9][0-9]*)$/.test(token)) return fail(`${token} is not an index`)
  const at = Number(token)
  if (at > lengthMax) return fail(`${token} is out of bounds`)
  return at
}

function read(holder: { root: Json }, path: readonly string[], fail: Fail): Json {
  let value: Json = holder.root
  for (const token of path) {
    if (Array.isArray(value)) value = value[index(token, value.length - 1, fail)] as Json
    else if (isObject(value) && Object.hasOwn(value, token)) value = value[token] as Json
    else fail(`${token} does not exist`)
  }
  return value
}

function write(holder: { root: Json }, path: readonly string[], value: Json, fail: Fail): void {
  const last = path.at(-1)
  if (last === undefined) {
    holder.root = value
    return
  }
  const parent = read(holder, path.slice(0, -1), fail)
  if (Array.isArray(parent)) parent[index(last, parent.length - 1, fail)] = value
  else if (isObject(parent)) define(parent, last, value)
  else fail('the parent is a scalar')
}

function add(holder: { root: Json }, path: readonly string[], value: Json, fail: Fail): void {
  const last = path.at(-1)
  if (last === undefined) {
    holder.root = value
    return
  }
  const parent = read(holder, path.slice(0, -1), fail)
  if (Array.isArray(parent)) {
    parent.splice(last === '-' ? parent.length : index(last, parent.length, fail), 0, value)
  } else if (isObject(parent)) define(parent, last, value)
  else fail('the parent is a scalar')
}

function remove(holder: { root: Json }, path: readonly string[], fail: Fail): void {
  read(holder, path, fail)
  const last = path.at(-1)
  // The RFC is silent about removing the root; what is left would be no JSON, so it is an error.
  if (last === undefined) return fail('the root cannot be removed')
  const parent = read(holder, path.slice(0, -1), fail)
  if (Array.isArray(parent)) parent.splice(Number(last), 1)
  else if (isObject(parent)) delete parent[last]
}

/** A plain assignment to `__proto__` would change the prototype instead of adding a member. */
function define(object: { [key: string]: Json }, key: string, value: Json): void {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
}
