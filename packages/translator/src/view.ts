import { IdSet, PolyphonyError, systemClock, type Clock } from '@polyphony/core'
import type * as Y from 'yjs'
import type { Address } from './address.ts'
import { diff } from './diff.ts'
import { Engine, type EngineOptions, type Policy, type Written } from './engine.ts'
import { JsonCursor } from './json-cursor.ts'
import { jsonEquals, type JsonValue } from './json-value.ts'
import { live, type Moment } from './moment.ts'
import type { Node } from './overlay.ts'
import type { JsonPatch, PatchOperation, PatchResult, SplicePatch, TextSplice } from './patch.ts'
import { formatPointer, parsePointer } from './pointer.ts'
import { projectDocument } from './project.ts'
import { Retention, type RetainOptions } from './retention.ts'
import { RevisionLog, toIdSet } from './revision-log.ts'
import { createScene, follow, rootNode } from './scene.ts'
import { documentSource, nodeSource } from './sources.ts'
import { Version } from './version.ts'
import { clockOf, kindOf } from './yjs.ts'

export interface JsonViewOptions extends EngineOptions {
  /** The revisions of the document, kept by somebody else. Without it the view counts transactions as revisions. */
  readonly log?: RevisionLog | undefined
  /**
   * How long versions stay readable. With `doc.gc = false` the view then also collects the content of what was deleted
   * before that. Without it, the newest 1,000 versions can be diffed from, and nothing is ever collected.
   */
  readonly retain?: RetainOptions | undefined
  /** Only for `retain.ms`. */
  readonly clock?: Clock | undefined
}

export interface ReadOptions {
  readonly pointer?: string | undefined
  readonly at?: Version | undefined
}

export interface DiffOptions {
  /** Only what is there, with pointers relative to it. */
  readonly pointer?: string | undefined
  /** Whether changes of texts may be told as splices, where that is shorter than the text. */
  readonly splices?: boolean | undefined
}

export interface ApplyOptions {
  /** What the author of the patch saw. Default: what is there now. */
  readonly at?: Version | undefined
  readonly policy?: Policy | undefined
  readonly origin?: unknown
  /** Whether the patch may splice strings; otherwise such an operation is an unknown one. */
  readonly splices?: boolean | undefined
}

export interface AssignOptions extends Omit<ApplyOptions, 'splices'> {
  readonly pointer?: string | undefined
}

export interface ChangeEvent {
  readonly version: Version
}

/**
 * The JSON face of one `Y.Doc`. It holds no copy of the state: reading costs what is read, a diff what changed, a patch
 * what it touches. Any number of views can share a document.
 */
export class JsonView {
  readonly doc: Y.Doc
  readonly #engine: Engine
  readonly #log: RevisionLog
  readonly #countsItself: boolean
  readonly #retention: Retention
  readonly #clock: Clock
  readonly #listeners = new Set<(event: ChangeEvent) => void>()
  readonly #stop: (() => void)[] = []
  /** Deletions by patches of this view that are not recorded yet. */
  readonly #pendingDeletes: IdSet[] = []
  /** Transactions that the view has taken in. */
  readonly #followed = new WeakSet<Y.Transaction>()
  #changed = false
  /** Counts what may change the meaning of a version. */
  #changes = 0

  constructor(doc: Y.Doc, options: JsonViewOptions = {}) {
    this.doc = doc
    this.#engine = new Engine(doc, options)
    this.#countsItself = options.log === undefined
    this.#log = options.log ?? RevisionLog.startingAt(0, doc)
    this.#log.adopt(doc)
    this.#clock = options.clock ?? systemClock
    this.#retention = new Retention(doc, this.#log, options.retain, this.#clock)
    const onTransaction = (transaction: Y.Transaction): void => this.#onTransaction(transaction)
    const onSettled = (): void => this.#settle()
    doc.on('afterTransaction', onTransaction)
    doc.on('afterAllTransactions', onSettled)
    this.#stop.push(
      () => doc.off('afterTransaction', onTransaction),
      () => doc.off('afterAllTransactions', onSettled),
    )
    if (!this.#countsItself)
      this.#stop.push(
        this.#log.onRecord(() => {
          this.#changed = true
          this.#changes += 1
          this.#settle()
        }),
      )
  }

  /** What a reader sees now. O(1). */
  get version(): Version {
    return new Version(this.#log.revision)
  }

  /**
   * Whether the view has taken in all of the document. It has not inside of a transaction, nor inside of a Yjs observer:
   * there Yjs has closed the transaction, but positions and revisions are still those from before it.
   */
  get isSettled(): boolean {
    const { _transaction, _transactionCleanups } = this.doc
    return (
      _transaction === null && _transactionCleanups.every((transaction) => this.#followed.has(transaction))
    )
  }

  /** The first revision that can still be diffed from. */
  get oldest(): number {
    return this.#log.oldest
  }

  /**
   * The state, or what a pointer leads to, now or at a version. O(size of what is read); for a version also
   * O(revisions since). Throws `pointer-not-found`, and `revision-expired` for versions that are not retained.
   */
  read({ pointer = '', at }: ReadOptions = {}): JsonValue {
    const moment = this.#readable(at)
    if (pointer === '') return projectDocument(this.doc, this.#engine.layout, moment)
    return this.#nodeAt(pointer, moment).toJson()
  }

  /**
   * The same as `read`, to be walked through step by step: a large state is so never in memory as a whole, and others get
   * their turn. The version, which is what is there now unless `at` says otherwise, has to be readable until the end:
   * `next` throws `revision-expired` once it is not, and with `doc.gc` on that is with the first change.
   */
  cursor({ pointer = '', at = this.version }: ReadOptions = {}): JsonCursor {
    let moment = this.#readable(at)
    let changes = this.#changes
    const source =
      pointer === ''
        ? documentSource(this.doc, this.#engine.layout, moment)
        : nodeSource(this.#nodeAt(pointer, moment), this.#engine.layout.textsAt(tokensOf(pointer)))
    return new JsonCursor(source, () => {
      if (changes !== this.#changes) {
        moment = this.#readable(at)
        changes = this.#changes
      }
      return moment
    })
  }

  /**
   * The patch from what a version shows to what is there now: minimal, in an order in which every pointer is right, and
   * with operations that cannot fail on that baseline. With a pointer, the patch of what is there, with pointers
   * relative to it; `null` stands for nothing. O(changes since * depth), plus the size of what is new.
   */
  diff(since: Version, options?: Omit<DiffOptions, 'splices'>): JsonPatch
  diff(since: Version, options?: DiffOptions): SplicePatch
  diff(since: Version, { pointer = '', splices = false }: DiffOptions = {}): SplicePatch {
    this.#outsideTransaction()
    const moment = this.#moment(since)
    if (moment.isLive) return []
    if (pointer === '') return this.#diff(moment, splices)
    return this.#diffBelow(tokensOf(pointer), pointer, moment, splices)
  }

  /**
   * Applies an RFC 6902 patch that its author made while seeing `at`: every operation works on the things that the
   * author meant, wherever they are now. Atomic: when it throws, nothing has changed.
   *
   * Throws `invalid-patch`, `invalid-value`, `test-failed`, `patch-too-large`; `conflict` under the policy `strict`;
   * `revision-expired` when `at` is not retained, or is not now while `doc.gc` is on.
   */
  apply(patch: JsonPatch, { at, ...options }: ApplyOptions = {}): PatchResult {
    const moment = this.#writable(at)
    return this.#result(this.#engine.patch(patch, moment, options), at, moment)
  }

  /**
   * Makes the state, or what is at a pointer, into `next`: carries out what differs between `at` and `next` on what is
   * there now, so that edits of others stay. Arrays are matched by `id`, then by equality; texts by code point.
   * Throws as `apply` does. O(size of `next` and of what it is compared with).
   */
  assign(next: JsonValue, { at, pointer = '', ...options }: AssignOptions = {}): PatchResult {
    const moment = this.#writable(at)
    return this.#result(this.#engine.assign(next, tokensOf(pointer), moment, options), at, moment)
  }

  /** Calls back after every change, once per batch of transactions, outside of any transaction. */
  on(event: 'change', listener: (event: ChangeEvent) => void): () => void {
    if (event !== 'change') throw new TypeError(`There is no event "${String(event)}"`)
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Collects, at once, the content of everything that was deleted before the retained window. */
  collect(): void {
    this.#outsideTransaction()
    this.#retention.collect()
  }

  /** Lets go of the document. */
  destroy(): void {
    for (const stop of this.#stop.splice(0)) stop()
    this.#listeners.clear()
  }

  #diff(moment: Moment, splices: boolean, scope?: Address): (PatchOperation | TextSplice)[] {
    const { doc } = this
    return diff({
      doc,
      layout: this.#engine.layout,
      since: moment,
      indexOf: this.#engine.positions.indexOf,
      scope,
      splices,
    })
  }

  #diffBelow(tokens: readonly string[], pointer: string, moment: Moment, splices: boolean): SplicePatch {
    const then = this.#follow(tokens, moment)
    const now = this.#follow(tokens, live)
    if (
      now !== undefined &&
      then !== undefined &&
      now.kind === then.kind &&
      now.kind !== 'leaf' &&
      then.kind !== 'leaf'
    ) {
      if (now.kind === 'map' && now.mounted.size > 0) return relative(this.#diff(moment, splices), pointer)
      if ((now.kind === 'list' && now.isXml) || (now.kind === 'map' && now.isPlain))
        return this.#diffPart(tokens, moment, now)
      if (now.base !== undefined && now.base === then.base) {
        const type = now.base
        const rules = this.#engine.layout.textsAt(tokens)
        const kind = kindOf(type) ?? kindOfNode[now.kind]
        return this.#diff(moment, splices, {
          type,
          kind,
          pointer: '',
          depth: 0,
          parent: undefined,
          rules,
          token: undefined,
        })
      }
    }
    const value = now?.toJson() ?? null
    if (now === undefined && then === undefined) return []
    if (now?.kind === 'leaf' && then?.kind === 'leaf' && jsonEquals(value, then.toJson())) return []
    return [{ op: 'replace', path: '', value }]
  }

  /** The patch of the `content` or `attrs` of an XML node, which is a part of the patch of the node. */
  #diffPart(tokens: readonly string[], moment: Moment, now: Node): SplicePatch {
    const node = tokens.slice(0, -1)
    const part = formatPointer(tokens.slice(-1))
    const patch = this.#diffBelow(node, formatPointer(node), moment, false)
    const isWhole = patch.some(({ op, path }) => path === '' || (path === part && op === 'remove'))
    return isWhole ? [{ op: 'replace', path: '', value: now.toJson() }] : relative(patch, part)
  }

  #nodeAt(pointer: string, moment: Moment): Node {
    const node = this.#follow(tokensOf(pointer), moment)
    if (node !== undefined) return node
    throw new PolyphonyError('pointer-not-found', `There is nothing at "${pointer}"`, { extra: { pointer } })
  }

  #follow(tokens: readonly string[], moment: Moment): Node | undefined {
    return follow(
      rootNode(createScene(this.doc, moment, this.#engine.positions), this.doc, this.#engine.layout, false),
      tokens,
    )
  }

  #moment(version: Version): Moment {
    return this.#log.moment(version, this.doc, !this.#countsItself && this.#isUnrecorded())
  }

  #readable(at: Version | undefined): Moment {
    const moment = at === undefined ? live : this.#moment(at)
    if (!moment.isLive && this.doc.gc)
      throw new PolyphonyError(
        'revision-expired',
        'Only the current state can be read or patched while `doc.gc` is on, because Yjs drops what was deleted',
      )
    return moment
  }

  #writable(at: Version | undefined): Moment {
    this.#outsideTransaction()
    return this.#readable(at)
  }

  /** Whether the document holds changes that the log does not. O(clients). */
  #isUnrecorded(): boolean {
    this.#prunePending()
    if (this.#pendingDeletes.length > 0) return true
    for (const client of this.doc.store.clients.keys())
      if (clockOf(this.doc, client) > (this.#log.clocks.get(client) ?? 0)) return true
    return false
  }

  #prunePending(): void {
    const recorded = this.#log.deletedEver
    while (this.#pendingDeletes[0] !== undefined && isWithin(this.#pendingDeletes[0], recorded))
      this.#pendingDeletes.shift()
  }

  #result(written: Written, at: Version | undefined, moment: Moment): PatchResult {
    const { applied, conflicts } = written
    if (!this.#countsItself && !written.deleted.isEmpty) this.#pendingDeletes.push(written.deleted)
    if (this.#countsItself && moment.isLive && this.isSettled)
      return { applied, conflicts, version: this.version }
    const inserted = new IdSet()
    const deleted = new IdSet()
    if (at !== undefined) {
      inserted.addAll(at.own.inserted)
      deleted.addAll(at.own.deleted)
    } else {
      // Whoever patches what is there now has seen what this view has done and nobody has recorded yet.
      this.#prunePending()
      const { clientID } = this.doc
      const recorded = this.#log.clocks.get(clientID) ?? 0
      inserted.add(clientID, recorded, clockOf(this.doc, clientID) - recorded)
      for (const pending of this.#pendingDeletes) deleted.addAll(pending)
    }
    inserted.addAll(written.inserted)
    deleted.addAll(written.deleted)
    const revision = at?.revision ?? this.#log.revision
    return {
      applied,
      conflicts,
      version: new Version(revision, this.#log.trimOwn(revision, { inserted, deleted })),
    }
  }

  #onTransaction(transaction: Y.Transaction): void {
    this.#followed.add(transaction)
    this.#changes += 1
    const { beforeState, afterState, deleteSet } = transaction
    const clocks = new Map<number, number>()
    for (const [client, end] of afterState) if (beforeState.get(client) !== end) clocks.set(client, end)
    if (clocks.size === 0 && deleteSet.clients.size === 0) return
    this.#engine.positions.follow(transaction)
    if (!this.#countsItself) return
    this.#log.record(this.#log.revision + 1, clocks, toIdSet(deleteSet), this.#clock.now())
    this.#changed = true
  }

  #settle(): void {
    if (!this.isSettled) return
    this.#retention.trim()
    if (!this.#changed) return
    this.#changed = false
    const event = { version: this.version }
    for (const listener of this.#listeners) listener(event)
  }

  #outsideTransaction(): void {
    if (!this.isSettled)
      throw new PolyphonyError(
        'invalid-request',
        'Neither diffs nor patches are possible inside of a transaction or of a Yjs observer; listen to the view instead',
      )
  }
}

const kindOfNode = { map: 'map', list: 'array', text: 'text', xml: 'fragment' } as const

function tokensOf(pointer: string): string[] {
  return parsePointer(pointer, 'invalid-request')
}

/** The part of a patch that is below a pointer, relative to it. */
function relative(patch: SplicePatch, pointer: string): (PatchOperation | TextSplice)[] {
  return patch.flatMap((operation) => {
    if (operation.path === pointer && 'value' in operation)
      return [{ op: 'replace' as const, path: '', value: operation.value }]
    return operation.path.startsWith(`${pointer}/`)
      ? [{ ...operation, path: operation.path.slice(pointer.length) }]
      : []
  })
}

function isWithin(ids: IdSet, all: IdSet): boolean {
  for (const { client, clock, length } of ids.entries()) if (!all.covers(client, clock, length)) return false
  return true
}
