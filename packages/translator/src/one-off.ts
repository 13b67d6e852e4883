import type * as Y from 'yjs'
import { Engine, type EngineOptions, type WriteOptions, type Written } from './engine.ts'
import type { JsonValue } from './json-value.ts'
import { live } from './moment.ts'
import { Layout, type LayoutOptions } from './mounts.ts'
import type { JsonPatch, PatchResult } from './patch.ts'
import { parsePointer } from './pointer.ts'
import { projectDocument, projectType } from './project.ts'
import { Version } from './version.ts'
import { inferKind, type YType } from './yjs.ts'

export interface OneOffOptions extends EngineOptions, WriteOptions {}

/** The JSON of a document as its view would show it, or of one shared type alone. O(size). */
export function toJson(source: Y.Doc | YType, options: LayoutOptions = {}): JsonValue {
  const layout = new Layout(options)
  if (isDoc(source)) return projectDocument(source, layout)
  return projectType(source, inferKind(source) ?? 'map', layout.texts, live)
}

/** Applies a JSON Patch to the current state, once, without a view. Throws as `JsonView.apply` does. */
export function applyPatch(doc: Y.Doc, patch: JsonPatch, options: OneOffOptions = {}): PatchResult {
  return resultOf(new Engine(doc, options).patch(patch, live, options))
}

/** Makes the smallest edits that turn the state, or what is at a pointer, into `next`. O(size of both). */
export function applyState(
  doc: Y.Doc,
  next: JsonValue,
  { pointer = '', ...options }: OneOffOptions & { readonly pointer?: string | undefined } = {},
): PatchResult {
  return resultOf(
    new Engine(doc, options).assign(next, parsePointer(pointer, 'invalid-request'), live, options),
  )
}

/** Nobody counts revisions here: the version is that of a view which began with this write. */
function resultOf({ applied, conflicts, changed }: Written): PatchResult {
  return { applied, conflicts, version: new Version(changed ? 1 : 0) }
}

function isDoc(source: Y.Doc | YType): source is Y.Doc {
  return 'store' in source
}
