import type { Conflict, SplicePatch } from '@polyphony/translator'
import type { Backoff } from '../backoff.ts'
import { HttpError, readHttpError } from './event-stream.ts'
import { pause } from './pause.ts'

export interface PatchOptions {
  /** The version that the author looked at. */
  readonly anchor: string
  /** `merge`: what others have made impossible is skipped and reported. `strict`: it refuses the whole patch. */
  readonly policy?: 'merge' | 'strict' | undefined
}

export interface PatchOutcome {
  /** What the author looked at, with the patch: the anchor of its next one. */
  readonly version: string
  /** The version from which on everybody's state contains the patch. */
  readonly storedAt: string
  /** Whether there was anything to store. */
  readonly changed: boolean
  readonly conflicts: readonly Conflict[]
}

/** A patch as it is sent, again and again if need be. */
export interface PatchRequest extends PatchOptions {
  readonly patch: SplicePatch
  /** Makes the server answer for the one that it has stored already. */
  readonly key: string
}

export interface PatchTarget {
  /** Address of the document. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>
}

export interface Persistence {
  readonly backoff: Backoff
  /** Asked after each attempt that may succeed later; `false` gives up. */
  readonly mayRetry: () => boolean
}

/**
 * Sends a patch until its outcome is known. Rejects with an `HttpError` when the server refuses, and with the last error when
 * `mayRetry` says so; the outcome is unknown then.
 */
export async function sendPatch(
  target: () => PatchTarget,
  { patch, key, anchor, policy = 'merge' }: PatchRequest,
  { backoff, mayRetry }: Persistence,
): Promise<PatchOutcome> {
  const body = JSON.stringify({ patch, at: anchor, policy })
  const type = patch.some(({ op }) => op === 'splice')
    ? 'application/vnd.polyphony.patch+json'
    : 'application/json-patch+json'
  for (;;) {
    let waitMs = 0
    try {
      // Asked anew each time: a token may have been replaced.
      const { url, headers, fetch } = target()
      const init = {
        method: 'PATCH',
        headers: { ...headers, 'content-type': type, 'idempotency-key': key },
        body,
      }
      const response = await fetch(url, init)
      if (response.ok) return await readOutcome(response)
      throw await readHttpError(response)
    } catch (error) {
      if ((error instanceof HttpError && !error.isPassing) || !mayRetry()) throw error
      waitMs = error instanceof HttpError ? (error.retryAfterMs ?? 0) : 0
    }
    await pause(Math.max(waitMs, backoff.next()), never)
  }
}

/** What was begun is brought to an end. */
const never = new AbortController().signal

async function readOutcome(response: Response): Promise<PatchOutcome> {
  const answer: unknown = await response.json()
  const { version, conflicts, changed } = {
    version: '',
    conflicts: [],
    changed: true,
    ...Object(answer),
  } as {
    readonly version: string
    readonly conflicts: readonly Conflict[]
    readonly changed: boolean
  }
  // Weakened by proxies that compress.
  const tag = /"([^"]*)"/.exec(response.headers.get('etag') ?? '')?.[1]
  return { version, storedAt: tag ?? version, changed, conflicts: Array.isArray(conflicts) ? conflicts : [] }
}
