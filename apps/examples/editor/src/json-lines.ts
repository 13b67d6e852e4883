/** One line of a JSON value as people read it. */
export interface JsonLine {
  /** Where it stands, unique in one value: a JSON pointer, with a bracket for the closing line. */
  readonly key: string
  readonly depth: number
  readonly name: string | undefined
  readonly kind: 'string' | 'number' | 'word' | 'bracket'
  readonly value: string
}

const linesMax = 400
const stringLengthMax = 360

/** Lays a JSON value out in lines. Long strings and long lists are cut, with a word on how much was. */
export function jsonLines(value: unknown): JsonLine[] {
  const lines: JsonLine[] = []
  addLines(lines, '', undefined, value, 0)
  if (lines.length <= linesMax) return lines
  const rest = lines.length - linesMax
  return [
    ...lines.slice(0, linesMax),
    { key: 'rest', depth: 0, name: undefined, kind: 'bracket', value: `… ${rest} more lines` },
  ]
}

function addLines(
  lines: JsonLine[],
  key: string,
  name: string | undefined,
  value: unknown,
  depth: number,
): void {
  if (typeof value !== 'object' || value === null) {
    const kind =
      typeof value === 'string' ? 'string' : typeof value === 'number' ? 'number' : ('word' as const)
    lines.push({
      key,
      depth,
      name,
      kind,
      value: typeof value === 'string' ? shorten(value) : JSON.stringify(value),
    })
    return
  }
  const isList = Array.isArray(value)
  const entries = Object.entries(value)
  const [open, close] = isList ? ['[', ']'] : ['{', '}']
  if (entries.length === 0) {
    lines.push({ key, depth, name, kind: 'bracket', value: `${open}${close}` })
    return
  }
  lines.push({ key, depth, name, kind: 'bracket', value: open })
  for (const [member, child] of entries)
    addLines(lines, `${key}/${member}`, isList ? undefined : member, child, depth + 1)
  lines.push({ key: `${key}${close}`, depth, name: undefined, kind: 'bracket', value: close })
}

function shorten(text: string): string {
  if (text.length <= stringLengthMax) return JSON.stringify(text)
  const half = stringLengthMax / 2
  const cut = `… ${(text.length - stringLengthMax).toLocaleString('en')} more …`
  return `${JSON.stringify(text.slice(0, half)).slice(0, -1)} ${cut} ${JSON.stringify(text.slice(-half)).slice(1)}`
}
