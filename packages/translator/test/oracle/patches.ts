import { clone, isObject, pointer, type Json, type Operation } from './json.ts'
import type { Rng } from './rng.ts'
import { applyStrict } from './strict-patch.ts'
import { uniqueNumber } from './generate.ts'

export interface PatchShape {
  readonly operationsMax: number
  readonly operations: readonly Operation['op'][]
  /** Whether a container may be replaced by one of the same kind (which the engine merges instead of replacing). */
  readonly containers: boolean
  /** Whether elements are also appended with `-`. */
  readonly dash: boolean
}

/** A valid patch for an author who sees `state`; every later operation is valid after the earlier ones. */
export function makePatch(rng: Rng, state: Json, shape: PatchShape): Operation[] {
  const patch: Operation[] = []
  let view = state
  for (let i = 1 + rng.int(shape.operationsMax); i > 0; i--) {
    const operation = makeOperation(rng, view, shape)
    if (operation === undefined) continue
    patch.push(operation)
    view = applyStrict(view, [operation])
  }
  return patch
}

/** A patch that plain Yjs calls by index can carry out with the same meaning: see `forkDiffers`. No `-`, either. */
export function makeEdit(rng: Rng, state: Json, shape: PatchShape): Operation[] {
  const patch = makePatch(rng, state, { ...shape, dash: false })
  const removal = patch.findIndex(({ op }) => op === 'remove' || op === 'replace')
  return removal < 0 ? patch : patch.slice(0, Math.max(1, removal))
}

/** A value inside of a state, and where it is. */
export interface Slot {
  readonly path: readonly (string | number)[]
  readonly value: Json
}

/** Everything inside of a state, itself first. */
export function slots(value: Json, path: readonly (string | number)[] = []): Slot[] {
  const below = Array.isArray(value)
    ? value.flatMap((part, index) => slots(part, [...path, index]))
    : isObject(value)
      ? Object.entries(value).flatMap(([key, part]) => slots(part, [...path, key]))
      : []
  return [{ path, value }, ...below]
}

function makeOperation(rng: Rng, state: Json, shape: PatchShape): Operation | undefined {
  const all = slots(state)
  const inner = all.filter(({ path }) => path.length > 0)
  const op = rng.pick(shape.operations)
  if (op === 'add') return makeAdd(rng, all, shape)
  if (inner.length === 0) return undefined
  // In a long list two authors would never meet; near its start they do.
  const slot = rng.pick(rng.chance(0.5) ? inner.slice(0, 40) : inner)
  const path = pointer(slot.path)
  if (op === 'remove') return { op, path }
  if (op === 'test') return { op, path, value: clone(slot.value) }
  if (op === 'replace') return { op, path, value: makeValue(rng, slot.value, shape) }
  const target = makeAdd(rng, all, shape)
  if (target === undefined || target.path.startsWith(`${path}/`) || target.path === path) return undefined
  const candidate: Operation = { op, from: path, path: target.path }
  try {
    applyStrict(state, [candidate])
    return candidate
  } catch {
    return undefined
  }
}

function makeAdd(rng: Rng, all: readonly Slot[], shape: PatchShape): Operation | undefined {
  const parents = all.filter(
    ({ value, path }) => path.length < 6 && typeof value === 'object' && value !== null,
  )
  if (parents.length === 0) return undefined
  const { path, value } = rng.pick(parents)
  if (Array.isArray(value)) {
    const token = shape.dash && rng.chance(0.1) ? '-' : rng.int(value.length + 1)
    return { op: 'add', path: pointer([...path, token]), value: makeValue(rng, null, shape) }
  }
  const key = rng.pick(['a', 'b', 'c', 'list', '~', 'x/y', ''])
  const present = isObject(value) && Object.hasOwn(value, key) ? (value[key] as Json) : null
  return { op: 'add', path: pointer([...path, key]), value: makeValue(rng, present, shape) }
}

function makeValue(rng: Rng, present: Json, shape: PatchShape, depth = 0): Json {
  const free = shape.containers || typeof present !== 'object' || present === null
  const dice = rng.next()
  if (!free || dice < 0.5 || depth > 2) return uniqueNumber()
  if (dice < 0.8) return Array.from({ length: rng.int(4) }, () => makeValue(rng, null, shape, depth + 1))
  return Object.fromEntries(
    Array.from({ length: rng.int(3) }, () => [
      rng.pick(['a', 'b', 'c']),
      makeValue(rng, null, shape, depth + 1),
    ]),
  )
}
