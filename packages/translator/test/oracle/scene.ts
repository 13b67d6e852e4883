import { expect } from 'vitest'
import * as Y from 'yjs'
import {
  JsonView,
  type JsonPatch,
  type JsonViewOptions,
  type PatchResult,
  type Version,
} from '../../src/index.ts'
import { canonical, type Json, type Operation } from './json.ts'
import { build } from './naive.ts'
import { applyStrict } from './strict-patch.ts'

/** One document with a view on it, for tests that show one case. */
export class Scene {
  readonly doc: Y.Doc
  readonly state: Y.Map<unknown>
  readonly view: JsonView
  #version: Version
  #last: Json

  constructor(doc: Y.Doc, options: JsonViewOptions = {}) {
    this.doc = doc
    this.state = doc.getMap('state')
    this.view = new JsonView(doc, options)
    this.#version = this.view.version
    this.#last = this.json
  }

  /** The state as a reader sees it; without other mounts it is compared with the projection. */
  get json(): Json {
    return structuredClone(this.view.read()) as Json
  }

  /** What changed since the last call (or since the view was made); checked against the states before and after. */
  flush(): Operation[] {
    const patch = asOperations(this.view.diff(this.#version))
    const now = this.json
    expect(canonical(applyStrict(this.#last, patch))).toBe(canonical(now))
    this.#version = this.view.version
    this.#last = now
    return patch
  }

  /** What a patch does that was computed from the state before `meanwhile`. */
  stale(
    patch: readonly Operation[],
    meanwhile: () => void,
    policy: 'merge' | 'strict' = 'merge',
  ): PatchResult {
    const at = this.view.version
    meanwhile()
    return this.apply(patch, { at, policy })
  }

  apply(patch: readonly Operation[], options: Parameters<JsonView['apply']>[1] = {}): PatchResult {
    const result = this.view.apply(patch as unknown as JsonPatch, options)
    expect(canonical(this.view.read({ pointer: '' }))).toBe(canonical(this.json))
    return result
  }

  array(key: string): Y.Array<unknown> {
    return this.state.get(key) as Y.Array<unknown>
  }

  map(key: string): Y.Map<unknown> {
    return this.state.get(key) as Y.Map<unknown>
  }

  text(key: string): Y.Text {
    return this.state.get(key) as Y.Text
  }
}

/** A scene whose root map holds `json`; `Y.Text` and other Yjs values inside are taken as they are. */
export function open(
  json: Record<string, unknown> = {},
  options: JsonViewOptions & { gc?: boolean } = {},
): Scene {
  const { gc = false, ...rest } = options
  const doc = new Y.Doc({ gc })
  fill(doc.getMap('state'), json)
  return new Scene(doc, rest)
}

export function fill(map: Y.Map<unknown>, json: Record<string, unknown>): void {
  map.doc?.transact(() => {
    for (const [key, value] of Object.entries(json))
      map.set(key, value instanceof Y.AbstractType ? value : build(value as Json))
  })
}

/** Another replica with everything that `doc` has. */
export function replicate(doc: Y.Doc): Y.Doc {
  const other = new Y.Doc({ gc: false })
  Y.applyUpdate(other, Y.encodeStateAsUpdate(doc))
  return other
}

/** Brings what `from` has into `to`. */
export function pull(to: Y.Doc, from: Y.Doc): void {
  Y.applyUpdate(to, Y.encodeStateAsUpdate(from, Y.encodeStateVector(to)))
}

export function asOperations(patch: JsonPatch): Operation[] {
  return patch as unknown as Operation[]
}

/** Runs `act`, which must throw, and checks that nothing happened: no transaction, no update, the same bytes. */
export function expectRefused(doc: Y.Doc, act: () => unknown, code: string): void {
  const before = Y.encodeStateAsUpdate(doc)
  let events = 0
  const count = (): void => {
    events += 1
  }
  doc.on('update', count)
  doc.on('afterTransaction', count)
  try {
    expect(act).toThrow(expect.objectContaining({ code }))
  } finally {
    doc.off('update', count)
    doc.off('afterTransaction', count)
  }
  expect(events).toBe(0)
  expect(Y.encodeStateAsUpdate(doc)).toEqual(before)
}
