import { element, make } from './element.ts'
import { textChange } from './text-change.ts'

const shownMax = 50

interface Operation {
  readonly op: string
  readonly path: string
  readonly value?: unknown
  readonly from?: string
}

interface DeltaList {
  readonly add: (event: object) => void
  /** The state that the next delta changes. */
  readonly note: (state: unknown) => void
}

/** Shows AG-UI state events as they come in, the newest on top. */
export function bindDeltaList(): DeltaList {
  const list = element('deltas', HTMLOListElement)
  const badge = element('delta-count', HTMLSpanElement)
  const empty = element('no-deltas', HTMLParagraphElement)
  let state: unknown
  let count = 0
  const push = (item: HTMLLIElement): void => {
    list.prepend(item)
    while (list.children.length > shownMax) list.lastElementChild?.remove()
  }
  return {
    note: (next) => (state = next),
    add(event) {
      const { type, delta } = { type: '', delta: [], ...event }
      if (type === 'STATE_SNAPSHOT') push(entry(type, [make('p', 'op', 'the whole state')]))
      if (type !== 'STATE_DELTA' || !Array.isArray(delta)) return
      count += 1
      badge.textContent = count.toLocaleString('en')
      empty.hidden = true
      push(
        entry(
          type,
          delta
            .filter(isOperation)
            .slice(0, 8)
            .map((operation) => describe(operation, state)),
        ),
      )
    },
  }
}

function entry(type: string, lines: readonly HTMLElement[]): HTMLLIElement {
  const item = make('li', 'delta')
  const head = make('p', 'delta-head')
  const time = make('time', '', new Date().toLocaleTimeString('en-GB'))
  head.append(make('span', 'type', type), time)
  item.append(head, ...lines)
  return item
}

function describe({ op, path, value, from }: Operation, state: unknown): HTMLElement {
  const line = make('p', 'op')
  line.append(make('span', `verb ${op}`, op), ' ', make('span', 'path', path === '' ? '(all)' : path))
  const before = valueAt(state, path)
  if (typeof value === 'string' && typeof before === 'string') {
    const change = textChange(before, value)
    line.append(' ', visible(change.before))
    if (change.removed !== '') line.append(make('del', '', visible(change.removed)))
    if (change.inserted !== '') line.append(make('ins', '', visible(change.inserted)))
    line.append(visible(change.after))
  } else if (from !== undefined) line.append(` from ${from}`)
  else if (value !== undefined) line.append(' ', short(JSON.stringify(value)))
  return line
}

function isOperation(value: unknown): value is Operation {
  return typeof value === 'object' && value !== null && 'op' in value && 'path' in value
}

function valueAt(state: unknown, pointer: string): unknown {
  let at = state
  for (const token of pointer.split('/').slice(1)) {
    if (typeof at !== 'object' || at === null) return undefined
    const name = token.replaceAll('~1', '/').replaceAll('~0', '~')
    at = Object.getOwnPropertyDescriptor(at, name)?.value
  }
  return at
}

function visible(text: string): string {
  return text.replaceAll('\n', '⏎')
}

function short(text: string): string {
  return text.length > 160 ? `${text.slice(0, 160)}…` : text
}
