import { PolyphonyError } from '@polyphony/core'
import type { Head } from '@polyphony/storage'

/** The parts of a script's reply: text, or nested parts. Throws `store-failed` for anything else. */
export function parts(reply: unknown): readonly unknown[] {
  if (Array.isArray(reply)) return reply as unknown[]
  throw unexpected(reply)
}

export function bytes(part: unknown): Buffer {
  if (Buffer.isBuffer(part)) return part
  throw unexpected(part)
}

export function text(part: unknown): string {
  return typeof part === 'string' ? part : bytes(part).toString()
}

export function number(part: unknown): number {
  const value = Number(text(part))
  if (Number.isFinite(value)) return value
  throw unexpected(part)
}

/** The head that a script describes as `[status, incarnation, revision, deletedAtMs]`; `undefined` for no document. */
export function describedHead(reply: readonly unknown[]): Head | undefined {
  const incarnation = text(reply[1])
  if (incarnation === '') return undefined
  const deletedAt = text(reply[3])
  const tombstone = deletedAt === '' ? undefined : { deletedAtMs: Number(deletedAt) }
  return { incarnation, revision: number(reply[2]), bytes: 0, tombstone }
}

/** Wraps what ioredis and Redis throw. */
export function storeFailed(cause: unknown, documentId?: string): PolyphonyError {
  const message = cause instanceof Error ? cause.message : String(cause)
  const about = documentId === undefined ? '' : ` for "${documentId}"`
  return new PolyphonyError('store-failed', `Redis does not answer as it should${about}: ${message}`, {
    documentId,
    cause,
  })
}

function unexpected(part: unknown): PolyphonyError {
  return new PolyphonyError('store-failed', `Redis gave a reply of an unexpected type: ${typeof part}.`)
}
