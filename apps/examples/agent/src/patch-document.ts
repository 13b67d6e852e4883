import { authorizationOf, documentUrl, type DocumentAddress } from './document-address.ts'
import type { PatchOperation } from './json-patch.ts'
import { pause } from './pause.ts'

export interface PatchTerms {
  /** The version that the author looked at: the patch is carried out on what it meant then. */
  readonly anchor: string
  /** `merge` skips what others made impossible, and says so; `strict` refuses it all. */
  readonly policy?: 'merge' | 'strict'
}

export type PatchOutcome =
  /** `version`: what the author looked at, with its own edit; the anchor of its next patch. */
  | { readonly ok: true; readonly version: string; readonly hasConflicts: boolean }
  | { readonly ok: false; readonly status: number; readonly code: string }

const attemptsMax = 6

/**
 * Sends a patch. Resolves once it is stored, or refused; rejects when the server cannot be reached. It is safe to send
 * again what may have arrived, since the key makes the server answer for the first one.
 */
export async function patchDocument(
  address: DocumentAddress,
  patch: readonly PatchOperation[],
  { anchor, policy = 'merge' }: PatchTerms,
  signal: AbortSignal,
): Promise<PatchOutcome> {
  const headers = {
    ...authorizationOf(address),
    'content-type': 'application/json-patch+json',
    'idempotency-key': crypto.randomUUID(),
  }
  const body = JSON.stringify({ patch, at: anchor, policy })
  for (let attempt = 1; ; attempt++) {
    const response = await send(documentUrl(address), { method: 'PATCH', headers, body })
    const mayTryAgain = response === undefined || response.status === 429 || response.status >= 500
    if (!mayTryAgain || attempt === attemptsMax || signal.aborted) {
      if (response === undefined) throw new Error(`The server at ${address.url} cannot be reached.`)
      return await outcomeOf(response)
    }
    await pause(100 * 2 ** attempt, signal)
  }
}

async function send(url: string, init: RequestInit): Promise<Response | undefined> {
  try {
    return await fetch(url, init)
  } catch (error) {
    // This is how fetch reports that there is no connection.
    if (error instanceof TypeError) return undefined
    throw error
  }
}

async function outcomeOf(response: Response): Promise<PatchOutcome> {
  const body: unknown = await response.json()
  const { version, conflicts, code } = { version: '', conflicts: [], code: '', ...Object(body) }
  if (!response.ok) return { ok: false, status: response.status, code: String(code) }
  return {
    ok: true,
    version: response.headers.get('polyphony-version') ?? String(version),
    hasConflicts: Array.isArray(conflicts) && conflicts.length > 0,
  }
}
