import type { IncomingHttpHeaders } from 'node:http'
import { PolyphonyError } from '@polyphony/core'

/**
 * What an `If-Match` or `If-None-Match` header lists: `*` or version tokens. Weak tags count like strong ones: a proxy
 * that compresses weakens them, and a token names one state whatever its encoding.
 */
export type EntityTags = '*' | readonly string[]

/** Throws `invalid-request` for a header that is neither. */
export function parseEntityTags(header: string | undefined, name: string): EntityTags | undefined {
  if (header === undefined) return undefined
  if (header.trim() === '*') return '*'
  const tags: string[] = []
  for (const part of header.split(',')) {
    const tag = /^\s*(?:W\/)?"([^"]*)"\s*$/.exec(part)?.[1]
    if (tag === undefined)
      throw new PolyphonyError('invalid-request', `${name} lists ETags in double quotes, or is *.`)
    tags.push(tag)
  }
  return tags
}

/** Whether the reader has this version already. */
export function isNotModified(headers: IncomingHttpHeaders, token: string): boolean {
  const tags = parseEntityTags(headers['if-none-match'], 'If-None-Match')
  return tags !== undefined && (tags === '*' || tags.includes(token))
}

/** The one version in `If-Match`; `*` when any will do. Throws `invalid-request` for a list. */
export function parseIfMatch(headers: IncomingHttpHeaders): string | undefined {
  const tags = parseEntityTags(headers['if-match'], 'If-Match')
  if (tags === undefined || tags === '*') return tags
  if (tags.length === 1) return tags[0]
  throw new PolyphonyError('invalid-request', 'If-Match names one version here.')
}

/**
 * The error for an `If-Match` that does not hold.
 *
 * @param current token of the newest version, if the document has one
 */
export function preconditionFailed(documentId: string, reason: string, current?: string): PolyphonyError {
  return new PolyphonyError('precondition-failed', `If-Match does not hold for "${documentId}": ${reason}.`, {
    documentId,
    ...(current === undefined ? {} : { extra: { version: current } }),
  })
}
