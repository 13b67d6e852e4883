/** An error put into the engine: `find` (exactly once in `file`) becomes `replace`. */
export interface Mutant {
  readonly what: string
  readonly file: string
  readonly find: string
  readonly replace: string
}

export const mutants: readonly Mutant[] = [
  {
    what: 'the first unit after the baseline counts as known',
    file: 'moment.ts',
    find: 'if (start !== undefined && clock >= start && !past.ownInserted.has(client, clock)) return',
    replace: 'if (start !== undefined && clock > start && !past.ownInserted.has(client, clock)) return',
  },
  {
    what: 'what was deleted since counts as deleted then',
    file: 'moment.ts',
    find: "past.deletedEver.has(client, clock) && !past.deletedSince.has(client, clock) ? 'hidden'",
    replace: "past.deletedEver.has(client, clock) ? 'hidden'",
  },
  {
    what: 'deletions of the author itself are forgotten',
    file: 'moment.ts',
    find: "if (past.ownDeleted.has(client, clock)) return 'hidden'",
    replace: '',
  },
  {
    what: 'inserts go right behind their left neighbour',
    file: 'writer.ts',
    find: "if (presence === 'unknown') {",
    replace: "if (presence === 'unknown' && type === undefined) {",
  },
  {
    what: 'the places that Yjs remembers in long lists are not forgotten',
    file: 'writer.ts',
    find: 'if (type._searchMarker !== null) type._searchMarker.length = 0',
    replace: '',
  },
  {
    what: 'a removal hits what others set meanwhile',
    file: 'plan.ts',
    find: "if (current !== undefined) return 'key-set-concurrently'",
    replace: '',
  },
  {
    what: 'a surrogate pair is cut by the difference of two texts',
    file: 'text-diff.ts',
    find: 'return start > 0 && isHighSurrogate(a.charCodeAt(start - 1)) ? start - 1 : start',
    replace: 'return start',
  },
  {
    what: 'elements are not recognised by their id',
    file: 'list-match.ts',
    find: 'if (id !== undefined) return `#${typeof id}:${id}`',
    replace: '',
  },
  {
    what: 'a version forgets what it has heard of',
    file: 'version.ts',
    find: 'return new Version(Math.max(version.revision, to.revision), { inserted, deleted })',
    replace: 'return new Version(Math.min(version.revision, to.revision), { inserted, deleted })',
  },
  {
    what: 'a version misses the first revision after it',
    file: 'revision-log.ts',
    find: 'if (entry === undefined || entry.revision <= revision) break',
    replace: 'if (entry === undefined || entry.revision <= revision + 1) break',
  },
  {
    what: 'the history of a key is read from the wrong end',
    file: 'content.ts',
    find: 'for (let offset = item.length - 1; offset >= 0; offset--) {',
    replace: 'for (let offset = item.length - 1; offset > 0; offset--) {',
  },
  {
    what: 'children are emitted before what is above them',
    file: 'diff.ts',
    find: 'a.depth - b.depth ||',
    replace: 'b.depth - a.depth ||',
  },
  {
    what: 'what is below a replaced value is emitted once more',
    file: 'diff.ts',
    find: 'if (this.#replaced.has(above.type)) return true',
    replace: '',
  },
  {
    what: 'a slash in a key is not escaped',
    file: 'pointer.ts',
    find: "token.replaceAll('~', '~0').replaceAll('/', '~1') : token",
    replace: "token.replaceAll('~', '~0') : token",
  },
]
