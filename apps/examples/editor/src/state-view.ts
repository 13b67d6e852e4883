import { element, make } from './element.ts'
import { jsonLines, type JsonLine } from './json-lines.ts'

interface ShownLine {
  readonly row: HTMLDivElement
  readonly text: HTMLSpanElement
  value: string
}

/** Shows JSON states one after the other and lights up what changed. At most one is drawn per frame. */
export function bindStateView(): (state: unknown) => void {
  const panel = element('panel-state', HTMLDivElement)
  const shown = new Map<string, ShownLine>()
  let next: unknown
  let isScheduled = false
  let isFirst = true
  const draw = (): void => {
    isScheduled = false
    const lines = jsonLines(next)
    const keys = new Set(lines.map(({ key }) => key))
    for (const [key, { row }] of shown) {
      if (keys.has(key)) continue
      row.remove()
      shown.delete(key)
    }
    for (const [at, line] of lines.entries()) {
      const known = shown.get(line.key)
      const current = known ?? createLine(line)
      shown.set(line.key, current)
      if (panel.children[at] !== current.row) panel.insertBefore(current.row, panel.children[at] ?? null)
      if (known?.value === line.value) continue
      current.text.textContent = line.value
      current.text.className = line.kind
      current.value = line.value
      if (!isFirst) light(current.row)
    }
    isFirst = false
  }
  return (state) => {
    next = state
    if (isScheduled) return
    isScheduled = true
    requestAnimationFrame(draw)
  }
}

function light(row: HTMLElement): void {
  const color = getComputedStyle(row).getPropertyValue('--flash')
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches
  row.animate([{ backgroundColor: color }, { backgroundColor: 'transparent' }], still ? 1 : 1_200)
}

function createLine({ depth, name, kind, value }: JsonLine): ShownLine {
  const row = make('div', 'line')
  row.style.setProperty('--depth', String(depth))
  if (name !== undefined) row.append(make('span', 'key', JSON.stringify(name)), ': ')
  const text = make('span', kind, value)
  row.append(text)
  return { row, text, value }
}
