import { PolyphonyError } from '@polyphony/core'
import { isJsonArray, isJsonObject, type JsonPatch, type JsonValue } from '@polyphony/translator'

interface PatchTerms {
  /** Token of the version that the author saw; absent: what is there when the patch arrives. */
  readonly at: string | undefined
  /** Whether what has become impossible is skipped and reported, or refuses the whole patch. */
  readonly policy: 'merge' | 'strict'
}

export type PatchRequest = PatchTerms &
  (
    | { readonly isMerge: true; readonly patch: JsonValue }
    | { readonly isMerge: false; readonly patch: JsonPatch }
  )

export interface PatchContext {
  readonly isMerge: boolean
  /** The header `Polyphony-Anchor`. */
  readonly anchor: string | readonly string[] | undefined
  /** `?policy=`. */
  readonly policy: string | null
  readonly operationsMax: number
}

/**
 * Reads the body of a PATCH: for a JSON Patch the array itself, or an object with `patch`, `at` and `policy`. Whether
 * the operations make sense is for the translator to say. Throws `invalid-request`, `invalid-patch`, `patch-too-large`.
 */
export function parsePatchRequest(body: JsonValue, context: PatchContext): PatchRequest {
  const { anchor } = context
  if (anchor !== undefined && typeof anchor !== 'string') throw malformed('Polyphony-Anchor is given once.')
  if (context.isMerge) return { isMerge: true, patch: body, at: anchor, policy: policyOf(context.policy) }
  const wrapped = isJsonObject(body) ? body : { patch: body }
  const { patch, at, policy, ...others } = wrapped
  const [unknown] = Object.keys(others)
  if (unknown !== undefined)
    throw malformed(`The body has "patch", "at" and "policy", not "${unknown.slice(0, 50)}".`)
  if (!isJsonArray(patch))
    throw new PolyphonyError('invalid-patch', 'A JSON Patch is an array of operations.')
  if (at !== undefined && typeof at !== 'string') throw malformed('"at" is a version token.')
  if (at !== undefined && anchor !== undefined && at !== anchor) {
    throw malformed('"at" and Polyphony-Anchor name different versions.')
  }
  if (patch.length > context.operationsMax) {
    throw new PolyphonyError('patch-too-large', `A patch has at most ${context.operationsMax} operations.`, {
      limit: 'patchOperationsMax',
    })
  }
  // The translator checks every operation before it does anything.
  return {
    isMerge: false,
    patch: patch as unknown as JsonPatch,
    at: at ?? anchor,
    policy: policyOf(policy ?? context.policy),
  }
}

function policyOf(policy: JsonValue): 'merge' | 'strict' {
  if (policy === null) return 'merge'
  if (policy === 'merge' || policy === 'strict') return policy
  throw malformed('"policy" is "merge" or "strict".')
}

function malformed(detail: string): PolyphonyError {
  return new PolyphonyError('invalid-request', detail)
}
