import type { Metadata } from '@ag-ui/core'
import { isPolyphonyError } from '@polyphony/core'
import { applyPatch, applyState, toJson, type JsonPatch, type JsonValue } from '@polyphony/translator'
import * as Y from 'yjs'

/** The types of activities that a snapshot has all of; `inferred`: all types, if it has any activity. */
export type ActivityScope = 'inferred' | 'all' | readonly string[]

/** Which activities a snapshot is complete in, as the official client reads it. */
export function activityScope(metadata: Metadata | undefined): ActivityScope {
  if (metadata === undefined || !Object.hasOwn(metadata, '@ag-ui/client')) return 'inferred'
  const declared: unknown = metadata['@ag-ui/client']
  if (typeof declared !== 'object' || declared === null || Array.isArray(declared)) return []
  if (!('authoritativeActivityTypes' in declared)) return 'inferred'
  const types = declared.authoritativeActivityTypes
  if (types === null) return 'all'
  return Array.isArray(types) && types.every((type) => typeof type === 'string') ? types : []
}

/** The object after an RFC 6902 patch; `undefined` when the patch does not apply, or leaves no object. */
export function patchObject(content: JsonValue, patch: JsonPatch): JsonValue | undefined {
  const scratch = new Y.Doc()
  try {
    applyState(scratch, content)
    applyPatch(scratch, patch)
    return toJson(scratch)
  } catch (error) {
    if (!isPolyphonyError(error)) throw error
    return undefined
  } finally {
    scratch.destroy()
  }
}
