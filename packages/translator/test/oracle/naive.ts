import * as Y from 'yjs'
import { isObject, type Json, type Operation } from './json.ts'

/** Carries a patch out with plain Yjs calls by index, against the document as it is: what a person's client would do. */
export function applyNaively(doc: Y.Doc, patch: readonly Operation[]): void {
  doc.transact(() => {
    for (const operation of patch) {
      const tokens = operation.path.split('/').slice(1)
      const last = unescape(tokens.pop() as string)
      const parent = tokens.map(unescape).reduce<unknown>(descend, doc.getMap('state'))
      if (parent instanceof Y.Map) {
        if (operation.op === 'remove') parent.delete(last)
        else parent.set(last, build(operation.value as Json))
      } else if (parent instanceof Y.Array) {
        const at = last === '-' ? parent.length : Number(last)
        if (operation.op !== 'add') parent.delete(at)
        if (operation.op !== 'remove') parent.insert(at, [build(operation.value as Json)])
      } else throw new Error(`no container at ${operation.path}`)
    }
  })
}

function descend(type: unknown, token: string): unknown {
  return type instanceof Y.Map ? type.get(token) : (type as Y.Array<unknown>).get(Number(token))
}

function unescape(token: string): string {
  return token.replaceAll('~1', '/').replaceAll('~0', '~')
}

/** Shared types for JSON: objects and arrays become `Y.Map` and `Y.Array`, scalars stay. */
export function build(value: Json): unknown {
  if (Array.isArray(value)) {
    const array = new Y.Array<unknown>()
    array.push(value.map(build))
    return array
  }
  if (isObject(value)) return new Y.Map(Object.entries(value).map(([key, part]) => [key, build(part)]))
  return value
}

/**
 * The patch as Yjs itself would merge it: carried out in a fork of the document as it was at the version, under a client
 * id above all others (which makes concurrent inserts at one place stand in the order of arrival), and merged into the
 * document as it is now. `then` and `now` are encoded states; so is the result.
 */
export function mergeFork(then: Uint8Array, now: Uint8Array, patch: readonly Operation[]): Y.Doc {
  const merged = new Y.Doc({ gc: false })
  Y.applyUpdate(merged, now)
  const fork = new Y.Doc({ gc: false })
  Y.applyUpdate(fork, then)
  fork.clientID = Math.max(0, ...merged.store.clients.keys()) + 1
  applyNaively(fork, patch)
  Y.applyUpdate(merged, Y.encodeStateAsUpdate(fork, Y.encodeStateVector(merged)))
  return merged
}

/**
 * Whether a fork means something else than we do by this patch. It puts the new value of a replaced element back though
 * others had removed the element; it puts it in front of what the patch has removed or replaced before it, not in its place; and it
 * lets a member that the patch sets and removes again win over theirs in between.
 */
export function forkDiffers(
  patch: readonly Operation[],
  conflicts: readonly { readonly index: number }[],
): boolean {
  if (conflicts.some(({ index }) => patch[index]?.op === 'replace')) return true
  const removal = patch.findIndex(({ op }) => op === 'remove' || op === 'replace')
  if (removal < 0) return false
  return patch.slice(removal + 1).some(({ op }) => op === 'replace') || takesBack(patch)
}

/** Whether a patch removes what it has itself written. */
export function takesBack(patch: readonly Operation[]): boolean {
  return patch.some(
    ({ op, path }, index) => op === 'remove' && patch.slice(0, index).some((each) => each.path === path),
  )
}
