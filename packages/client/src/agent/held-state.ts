import { jsonEquals, patched, type JsonValue, type SplicePatch } from '@polyphony/translator'
import { diffJson } from './json-diff.ts'
import { rebaseJson } from './json-rebase.ts'
import { JsonShare } from './json-share.ts'
import type { StateChange } from './state-reader.ts'
import { hasReached } from './state-stamp.ts'

/** An edit of ours that the server has not confirmed: what is below it, and what it makes of that. */
interface Edit {
  base: JsonValue
  next: JsonValue
}

/** An edit that is on its way, or stored and not in the confirmed state yet. */
export interface SentEdit extends Edit {
  /** The state and version that the patch was made from, and the state that it makes of it. */
  readonly from: { readonly value: JsonValue; readonly version: string }
  readonly made: JsonValue
  /** Token of the version from which on the feed contains it. */
  storedAt?: string
}

/** An edit as it is sent. */
export interface EditPatch {
  readonly patch: SplicePatch
  /** The version that its author looked at. */
  readonly anchor: string
}

export type TakeResult = 'taken' | 'known' | 'gap'

/**
 * What an agent knows of a state, without any I/O: what the server has confirmed, and on top of it the edits of the agent
 * itself: one that is on its way, and one that gathers what comes after. When the confirmed state changes, both are
 * based anew on it, so that what was set stays visible until the server has it, and then becomes what the server made of it.
 */
export class HeldState {
  readonly #share = new JsonShare()
  #confirmed: { readonly value: JsonValue; readonly version: string } | undefined
  /** What there was before the first snapshot. */
  #initial: JsonValue
  #sent: SentEdit | undefined
  #draft: Edit | undefined

  constructor(initial: unknown) {
    this.#initial = this.#share.take(undefined, initial)
  }

  /** The confirmed state with the edits that are not confirmed. Frozen; what did not change stays the same object. */
  get value(): JsonValue {
    return this.#draft?.next ?? this.#sent?.next ?? this.confirmed
  }

  /** The version of what the server has confirmed; `undefined` before that. */
  get version(): string | undefined {
    return this.#confirmed?.version
  }

  /** Whether there are edits that the server is not known to have stored. */
  get hasUnsaved(): boolean {
    return this.#draft !== undefined || (this.#sent !== undefined && this.#sent.storedAt === undefined)
  }

  /** Whether `value` shows edits that the confirmed state does not contain. */
  get hasEdits(): boolean {
    return this.#draft !== undefined || this.#sent !== undefined
  }

  get sent(): SentEdit | undefined {
    return this.#sent
  }

  /** What the server has confirmed; before that, what there was in the beginning. */
  get confirmed(): JsonValue {
    return this.#confirmed?.value ?? this.#initial
  }

  /** A copy that knows what is confirmed, and has no edits. */
  copy(): HeldState {
    const copy = new HeldState(null)
    copy.#initial = this.confirmed
    copy.#confirmed = this.#confirmed
    return copy
  }

  /** Takes in what a stream brought. `gap`: it does not follow what is held; `known`: it tells nothing new. */
  take({ snapshot, operations, previous, version }: StateChange): TakeResult {
    const held = this.#confirmed
    // A snapshot of the very version that is held repairs it, should it be wrong.
    const isRepair = snapshot !== undefined && version === held?.version
    if (version !== undefined && hasReached(held?.version, version) && !isRepair) return 'known'
    if (snapshot === undefined && version !== undefined && previous !== held?.version) return 'gap'
    let value
    try {
      value = this.#patched(
        snapshot === undefined ? this.confirmed : this.#received(snapshot.value),
        operations,
      )
    } catch {
      // Whatever the operations lead through is not there: another state than the one they were made for.
      return 'gap'
    }
    this.#confirm(value, version)
    return 'taken'
  }

  /** Knows nothing any more; the next stream begins with a snapshot. Edits that are not confirmed keep it from that. */
  forget(): void {
    if (this.hasEdits) return
    this.#confirmed = undefined
    this.#initial = this.#share.take(undefined, {})
  }

  /** Makes the visible state into `next`. Returns whether that changes anything. */
  edit(next: unknown): boolean {
    const before = this.value
    const after = this.#share.take(before, next)
    if (after === before) return false
    const base = this.#draft?.base ?? before
    this.#draft = jsonEquals(after, base) ? undefined : { base, next: after }
    return true
  }

  /** The next edit to send, if there is one and none is on its way. From then on it counts as sent. */
  send(): EditPatch | undefined {
    if (this.#sent !== undefined || this.#draft === undefined || this.#confirmed === undefined)
      return undefined
    const { value, version } = this.#confirmed
    const patch = diffJson(value, this.#draft.next)
    const draft = this.#draft
    this.#draft = undefined
    if (patch.length === 0) return undefined
    this.#sent = { ...draft, from: this.#confirmed, made: draft.next }
    return { patch, anchor: version }
  }

  /**
   * The edit on its way is stored. `at`: the version from which on a feed contains it. `adopt`: what its author sees now,
   * when no feed will tell.
   */
  stored(at: string, adopt?: string): void {
    const sent = this.#sent
    if (sent === undefined) return
    sent.storedAt = at
    if (hasReached(this.version, at)) this.#drop()
    else if (adopt !== undefined && sent.from === this.#confirmed) this.#confirm(sent.made, adopt, true)
  }

  /** The edit that was sent is refused, or without effect: what it changed goes back to what is confirmed. */
  drop(): void {
    this.#drop()
  }

  /** The edit that was sent is to be made anew, from what is confirmed by then. */
  again(): void {
    const sent = this.#sent
    if (sent === undefined) return
    this.#sent = undefined
    this.#draft = { base: sent.base, next: this.#draft?.next ?? sent.next }
  }

  #drop(): void {
    if (this.#sent === undefined) return
    this.#sent = undefined
    this.#rebase()
  }

  #confirm(value: JsonValue, version: string | undefined, includesSent = false): void {
    const isFirst = this.#confirmed === undefined
    if (version === undefined) this.#initial = value
    else this.#confirmed = { value, version }
    const storedAt = this.#sent?.storedAt
    if (includesSent || (storedAt !== undefined && hasReached(version, storedAt))) this.#sent = undefined
    // What was set before anything was known fills in what is missing, and overwrites nothing.
    this.#rebase(isFirst ? 'theirs' : 'mine')
  }

  #rebase(wins: 'mine' | 'theirs' = 'mine'): void {
    let below = this.confirmed
    for (const edit of [this.#sent, this.#draft]) {
      if (edit === undefined) continue
      edit.next = this.#share.seal(rebaseJson(edit.base, edit.next, below, wins))
      edit.base = below
      below = edit.next
    }
    if (this.#draft !== undefined && this.#draft.next === this.#draft.base) this.#draft = undefined
  }

  /** A state that came whole. It is compared with the one that is held, of which it is most often a newer version. */
  #received(value: JsonValue): JsonValue {
    return this.#confirmed === undefined
      ? this.#share.seal(value)
      : this.#share.take(this.#confirmed.value, value)
  }

  #patched(value: JsonValue, operations: SplicePatch): JsonValue {
    for (const operation of operations) if ('value' in operation) this.#share.seal(operation.value)
    return patched(value, operations, (container) => this.#share.sealed(container))
  }
}
