import { assert } from '@polyphony/core'
import { isJsonArray, type JsonArray, type JsonObject, type JsonValue } from './json-value.ts'
import type { SplicePatch, TextSplice } from './patch.ts'
import { parsePointer } from './pointer.ts'
import type { Version } from './version.ts'
import type { JsonView } from './view.ts'

export interface MirrorEvent {
  readonly value: JsonValue
  readonly version: Version
}

/**
 * The state as a plain value for code that compares by identity, such as React: never changed in place, and everything
 * that did not change stays the very same object. Strings are shared with the document. An update costs O(changes *
 * depth), and one copy of each array and object that changed (not of what is in them).
 */
export class JsonMirror {
  readonly #view: JsonView
  readonly #listeners = new Set<(event: MirrorEvent) => void>()
  readonly #stop: () => void
  #value: JsonValue
  #version: Version

  /** Reads the whole state once. O(size). */
  constructor(view: JsonView) {
    this.#view = view
    this.#version = view.version
    this.#value = view.read()
    this.#stop = view.on('change', () => {
      if (this.#listeners.size > 0) this.#refresh()
    })
  }

  /** The state now. The same object as before as long as nothing has changed. */
  get value(): JsonValue {
    this.#refresh()
    return this.#value
  }

  /** What `value` shows. */
  get version(): Version {
    this.#refresh()
    return this.#version
  }

  /** Calls back after every change of the value. */
  on(event: 'change', listener: (event: MirrorEvent) => void): () => void {
    if (event !== 'change') throw new TypeError(`There is no event "${String(event)}"`)
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Stops following the view; the value stays as it is. */
  destroy(): void {
    this.#stop()
    this.#listeners.clear()
  }

  #refresh(): void {
    const version = this.#view.version
    if (version.revision === this.#version.revision || !this.#view.isSettled) return
    const before = this.#value
    // A mirror that nobody asked for long may be behind what can be diffed from.
    this.#value =
      this.#version.revision < this.#view.oldest
        ? this.#view.read()
        : patched(before, this.#view.diff(this.#version))
    this.#version = version
    if (this.#value === before) return
    const event = { value: this.#value, version }
    for (const listener of this.#listeners) listener(event)
  }
}

/**
 * Applies a patch that `JsonView.diff` made, with splices or without: a new value that shares everything with the old one that the patch does not
 * mention. O(operations * depth), plus the copies of the containers on the way. `onCopy` is told of each of these once it
 * is done.
 */
export function patched(
  value: JsonValue,
  patch: SplicePatch,
  onCopy: (container: JsonArray | JsonObject) => void = () => undefined,
): JsonValue {
  /** Containers that this call has copied, and may therefore change. */
  const own = new Set<object>()
  const owned = (container: JsonValue | undefined): JsonValue[] | Record<string, JsonValue> => {
    assert(typeof container === 'object' && container !== null, 'a patch leads through objects and arrays')
    if (own.has(container)) return container as JsonValue[]
    const copy = isJsonArray(container) ? container.slice() : { ...container }
    own.add(copy)
    return copy
  }
  let root = value
  for (const operation of patch) {
    const path = parsePointer(operation.path)
    const last = path.pop()
    if (last === undefined) {
      if (operation.op === 'splice') root = spliced(root, operation)
      else if ('value' in operation) root = operation.value
      continue
    }
    let container = owned(root)
    root = container
    for (const token of path) {
      const child = owned(Array.isArray(container) ? container[Number(token)] : container[token])
      if (Array.isArray(container)) container[Number(token)] = child
      else container[token] = child
      container = child
    }
    if (Array.isArray(container)) {
      const index = Number(last)
      if (operation.op === 'add') container.splice(index, 0, operation.value)
      else if (operation.op === 'remove') container.splice(index, 1)
      else if (operation.op === 'splice') container[index] = spliced(container[index], operation)
      else if ('value' in operation) container[index] = operation.value
    } else if (operation.op === 'remove') delete container[last]
    else if (operation.op === 'splice') container[last] = spliced(container[last], operation)
    else if ('value' in operation) container[last] = operation.value
  }
  for (const container of own) onCopy(container as JsonArray | JsonObject)
  return root
}

function spliced(text: JsonValue | undefined, { index, remove, insert }: TextSplice): string {
  assert(typeof text === 'string' && index + remove <= text.length, 'a splice stays within a string')
  return text.slice(0, index) + insert + text.slice(index + remove)
}
