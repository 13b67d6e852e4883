import * as Y from 'yjs'

/**
 * What the translator needs of a shared type. Yjs declares `AbstractType` invariant in its event type, so that no
 * shared type is assignable to `AbstractType<unknown>`; this is the part that all of them have in common.
 */
export interface YType {
  doc: Y.Doc | null
  _item: Y.Item | null
  _map: Map<string, Y.Item>
  _start: Y.Item | null
  _length: number
  _searchMarker: unknown[] | null
}

/** How a shared type looks as JSON. `xml-text` is only ever a part of the `content` of the node around it. */
export type Kind = 'map' | 'array' | 'text' | 'fragment' | 'element' | 'xml-text'

/** The kind of a type by its class; `undefined` for a root that nobody has typed yet. */
export function kindOf(type: YType): Kind | undefined {
  // Subclasses before their parents: an XmlText is a Text, an XmlElement is an XmlFragment.
  if (type instanceof Y.XmlText) return 'xml-text'
  if (type instanceof Y.Text) return 'text'
  if (type instanceof Y.XmlElement) return 'element'
  if (type instanceof Y.XmlFragment) return 'fragment'
  if (type instanceof Y.Array) return 'array'
  if (type instanceof Y.Map) return 'map'
  return undefined
}

/** The kind that a root's content gives away when nobody typed it; `undefined` while nothing does. */
export function inferKind(root: YType): Kind | undefined {
  const known = kindOf(root)
  if (known !== undefined) return known
  for (let item = root._start; item !== null; item = item.right) {
    const { content } = item
    if (content instanceof Y.ContentDeleted) continue
    if (content instanceof Y.ContentType) {
      const child = kindOf(content.type)
      return child === 'element' || child === 'xml-text' ? 'fragment' : 'array'
    }
    return content instanceof Y.ContentString ||
      content instanceof Y.ContentFormat ||
      content instanceof Y.ContentEmbed
      ? 'text'
      : 'array'
  }
  return root._start === null && root._map.size > 0 ? 'map' : undefined
}

/** The shared type that an item sits in. Only for integrated items, whose parent is always a type. */
export function parentOf(item: Y.Item): YType {
  return item.parent as unknown as YType
}

/** The nested type in an item, if that is what it holds. */
export function typeOf(item: Y.Item): YType | undefined {
  return item.content instanceof Y.ContentType ? item.content.type : undefined
}

/** Whether an item's units count as elements of a list: everything but formatting marks, tombstones included. */
export function countsInArray(item: Y.Item): boolean {
  return !(item.content instanceof Y.ContentFormat)
}

/** Whether an item's units are characters of a text; embedded objects and formatting marks are not. */
export function countsInText(item: Y.Item): boolean {
  return item.content instanceof Y.ContentString || item.content instanceof Y.ContentDeleted
}

/** The end of what a document knows of a client. */
export function clockOf(doc: Y.Doc, client: number): number {
  return Y.getState(doc.store, client)
}

/** The structs of a client, items and collected ranges, in clock order. */
export function structsOf(doc: Y.Doc, client: number): readonly (Y.Item | Y.GC)[] {
  return doc.store.clients.get(client) ?? []
}
