import * as Y from 'yjs'
import { equal, type Json } from './json.ts'

/** Where the roots of a document appear: a pointer and the root's name and type. `''` is the JSON root. */
export type Mounts = Readonly<Record<string, unknown>>

/** The JSON of a whole document, by walking everything: the slow meaning of "what a reader sees". */
export function projectDoc(doc: Y.Doc, mounts: Mounts = {}): Json {
  const root = project(doc.getMap('state'))
  for (const [path, type] of Object.entries(mounts)) {
    const tokens = path.split('/').slice(1)
    const last = tokens.pop() as string
    let parent = root as { [key: string]: Json }
    for (const token of tokens) parent = (parent[token] ??= {}) as { [key: string]: Json }
    parent[last] = project(type)
  }
  return root
}

export function project(value: unknown): Json {
  if (value instanceof Y.Doc) return { $subdoc: value.guid }
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') }
  if (value instanceof Y.XmlElement) return xmlElement(value)
  if (value instanceof Y.XmlText) return textNodes(value)
  if (value instanceof Y.XmlFragment) return { type: 'doc', content: xmlContent(value) }
  if (value instanceof Y.Text) return textString(value)
  if (value instanceof Y.Array) return (value.toArray() as unknown[]).map(project)
  if (value instanceof Y.Map) return members([...(value as Y.Map<unknown>).entries()])
  if (Array.isArray(value)) return value.map(project)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'number') return Number.isFinite(value) ? value + 0 : null
  if (value === undefined || value === null) return null
  if (typeof value === 'object') return members(Object.entries(value))
  return value as Json
}

function members(entries: readonly (readonly [string, unknown])[]): Json {
  const object: { [key: string]: Json } = {}
  for (const [key, value] of entries)
    Object.defineProperty(object, key, {
      value: project(value),
      enumerable: true,
      configurable: true,
      writable: true,
    })
  return object
}

function textString(text: Y.Text): string {
  // Embedded objects have no characters.
  return (text.toDelta() as { insert: unknown }[])
    .map(({ insert }) => (typeof insert === 'string' ? insert : ''))
    .join('')
}

function xmlElement(element: Y.XmlElement): Json {
  const node: { [key: string]: Json } = { type: element.nodeName }
  const attributes = Object.entries(element.getAttributes())
  if (attributes.length > 0) node.attrs = members(attributes)
  // As in y-prosemirror: an element with nothing but an empty text has content, of which nothing is to be seen.
  if (element.length > 0) node.content = xmlContent(element)
  return node
}

function xmlContent(parent: Y.XmlFragment): Json[] {
  return parent.toArray().flatMap((child): Json[] => {
    if (child instanceof Y.XmlText) return textNodes(child)
    return child instanceof Y.XmlElement ? [xmlElement(child)] : []
  })
}

function textNodes(text: Y.XmlText): Json[] {
  const nodes: { [key: string]: Json }[] = []
  for (const part of text.toDelta() as { insert: unknown; attributes?: Record<string, unknown> }[]) {
    const node: { [key: string]: Json } =
      typeof part.insert === 'string'
        ? { type: 'text', text: part.insert }
        : { type: 'embed', embed: part.insert instanceof Y.AbstractType ? null : project(part.insert) }
    const marks = Object.entries(part.attributes ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1))
    if (marks.length > 0) node.marks = marks.map(([name, value]) => mark(name, value))
    const last = nodes.at(-1)
    // A delta is also cut where a formatting mark changes nothing; that is nothing to be seen.
    if (last?.type === 'text' && node.type === 'text' && equal(last.marks, node.marks))
      last.text = `${last.text as string}${node.text as string}`
    else nodes.push(node)
  }
  return nodes
}

/** y-prosemirror appends `--hash` to the name of a mark that may occur several times. */
function mark(name: string, value: unknown): Json {
  return { type: name.replace(/--[^-]{8}$/, ''), attrs: project(value) }
}
