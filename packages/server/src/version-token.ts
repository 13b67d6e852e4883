import { PolyphonyError } from '@polyphony/core'
import { parseVersion as parsePlainVersion, type Version } from '@polyphony/translator'
import type { DocumentHandle } from './document-handle.ts'

type Place = Pick<DocumentHandle, 'documentId' | 'incarnation' | 'revision'>

// Outside, a version always travels with the incarnation of its document: revisions alone may come back with another
// content, after a deletion or a restore.

/** The opaque token of a version: ETag, event id, anchor and resume cursor. ASCII, safe in URLs and headers. */
export function formatVersion(version: Version, incarnation: string): string {
  return `${incarnation}.${version.toString()}`
}

/** The token of a revision as everybody sees it. */
export function formatRevision(revision: number, incarnation: string): string {
  return `${incarnation}.${revision}`
}

/** The version that a token names here; `unknown` when it is of another incarnation. Throws `invalid-token`. */
export function parseVersion(token: string, { incarnation, revision }: Place): Version | 'unknown' {
  const dot = token.indexOf('.')
  if (dot < 1)
    throw new PolyphonyError('invalid-token', 'The version token is malformed; pass on what you were given.')
  const version = parsePlainVersion(token.slice(dot + 1))
  return token.slice(0, dot) === incarnation && version.revision <= revision ? version : 'unknown'
}

/** The same, but what is not known here throws `incarnation-mismatch`. */
export function requireVersion(token: string, place: Place): Version {
  const version = parseVersion(token, place)
  if (version !== 'unknown') return version
  throw new PolyphonyError(
    'incarnation-mismatch',
    `"${place.documentId}" was created anew since that version. Read it again.`,
    { documentId: place.documentId },
  )
}
