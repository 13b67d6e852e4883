import { escapePointer } from '@polyphony/ag-ui'
import { isJsonObject, type JsonObject, type PatchOperation, type JsonValue } from '@polyphony/translator'

/**
 * A JSON Merge Patch (RFC 7396) as a JSON Patch. `read` tells what a pointer leads to now, `undefined` for nothing; it
 * is asked for the members that the patch names, not for the whole document.
 */
export function mergePatchOperations(
  patch: JsonValue,
  read: (pointer: string) => JsonValue | undefined,
): PatchOperation[] {
  if (!isJsonObject(patch)) return [{ op: 'replace', path: '', value: patch }]
  const operations: PatchOperation[] = []
  for (const [key, value] of Object.entries(patch)) {
    const path = `/${escapePointer(key)}`
    // What a scalar replaces does not matter.
    const target = value === null || isJsonObject(value) ? read(path) : undefined
    addMember(operations, path, value, target)
  }
  return operations
}

function addMember(
  operations: PatchOperation[],
  path: string,
  value: JsonValue,
  target: JsonValue | undefined,
): void {
  if (value === null) {
    if (target !== undefined) operations.push({ op: 'remove', path })
  } else if (isJsonObject(value) && isJsonObject(target)) {
    for (const [key, member] of Object.entries(value)) {
      const before = Object.hasOwn(target, key) ? target[key] : undefined
      addMember(operations, `${path}/${escapePointer(key)}`, member, before)
    }
  } else {
    operations.push({ op: 'add', path, value: isJsonObject(value) ? withoutNulls(value) : value })
  }
}

/** Nulls in a patch mean removal also where there is nothing to remove. */
function withoutNulls(object: JsonObject): JsonObject {
  const kept: [string, JsonValue][] = []
  for (const [key, value] of Object.entries(object)) {
    if (value !== null) kept.push([key, isJsonObject(value) ? withoutNulls(value) : value])
  }
  return Object.fromEntries(kept)
}
