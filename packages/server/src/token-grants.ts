import { compileDocumentGlob } from './document-glob.ts'
import { isScopePointer, isWithin, type PointerScope } from './pointer-scope.ts'

/** What one entry of the claim `documents` grants. */
export interface Grant {
  readonly matches: (documentId: string) => boolean
  readonly access: 'read' | 'write'
  /** Absent: the whole document. */
  readonly scope: PointerScope | undefined
}

const grantsMax = 100
const pointersMax = 100
const members: ReadonlySet<string> = new Set(['pattern', 'access', 'read', 'write'])

/**
 * Reads the claims `documents` and `access` of a token. An entry of `documents` is a pattern, or
 * `{ pattern, access?, read?, write? }`; for a document the first that matches counts. `undefined` when anything in them
 * is not understood: then the token grants nothing, rather than something else than was meant.
 */
export function readGrants(claims: {
  readonly documents?: unknown
  readonly access?: unknown
}): readonly Grant[] | undefined {
  const { documents, access } = claims
  if (access !== undefined && !isAccess(access)) return undefined
  if (!Array.isArray(documents) || documents.length > grantsMax) return undefined
  const grants: Grant[] = []
  for (const entry of documents as readonly unknown[]) {
    const grant = readGrant(typeof entry === 'string' ? { pattern: entry } : entry, access)
    if (grant === undefined) return undefined
    grants.push(grant)
  }
  return grants
}

function readGrant(entry: unknown, otherwise: 'read' | 'write' | undefined): Grant | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined
  if (!Object.keys(entry).every((name) => members.has(name))) return undefined
  const { pattern, access = otherwise, read, write } = entry as Readonly<Record<string, unknown>>
  if (typeof pattern !== 'string' || pattern.length > 512 || !isAccess(access)) return undefined
  const matches = compileDocumentGlob(pattern)
  if (read === undefined && write === undefined) return { matches, access, scope: undefined }
  const scope = readScope(read, write, access)
  return scope === undefined ? undefined : { matches, access, scope }
}

/** Writing is granted within what may be read; without `write`, all of that. */
function readScope(read: unknown, write: unknown, access: 'read' | 'write'): PointerScope | undefined {
  const readable = read === undefined ? [''] : read
  const writable = write ?? (access === 'write' ? readable : [])
  if (!isPointerList(readable) || !isPointerList(writable)) return undefined
  if (access === 'read' && writable.length > 0) return undefined
  return writable.every((pointer) => isWithin(readable, pointer))
    ? { read: readable, write: writable }
    : undefined
}

function isPointerList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= pointersMax && value.every(isScopePointer)
}

function isAccess(value: unknown): value is 'read' | 'write' {
  return value === 'read' || value === 'write'
}
