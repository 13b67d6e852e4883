import { isJsonArray, isJsonObject, type JsonObject, type JsonValue } from './json-value.ts'
import type { Spec } from './spec.ts'
import type { Segment } from './xml.ts'

/** Part of the content of an XML node: a run of text nodes, which are one XmlText, or an element. */
export type Chunk =
  | { readonly segments: readonly Segment[]; readonly element: undefined }
  | { readonly segments: undefined; readonly element: JsonObject }

/** Why JSON is not an element as ProseMirror writes it, or `undefined` when it is. */
export function elementProblem(json: JsonValue | undefined): string | undefined {
  if (!isJsonObject(json)) return 'a node is an object'
  if (typeof json['type'] !== 'string' || json['type'] === '') return 'a node has a "type"'
  if (json['type'] === 'text') return textProblem(json)
  for (const member of Object.keys(json))
    if (member !== 'type' && member !== 'attrs' && member !== 'content')
      return `an element has "type", "attrs" and "content", and cannot hold "${member}"`
  if (json['attrs'] !== undefined && !isJsonObject(json['attrs'])) return '"attrs" is an object'
  return json['content'] === undefined ? undefined : contentProblem(json['content'])
}

/** The same for the `content` of a node. */
export function contentProblem(json: JsonValue): string | undefined {
  if (!isJsonArray(json)) return '"content" is an array'
  for (const node of json) {
    const problem = elementProblem(node)
    if (problem !== undefined) return problem
  }
  return undefined
}

function textProblem(json: JsonObject): string | undefined {
  for (const member of Object.keys(json))
    if (member !== 'type' && member !== 'text' && member !== 'marks')
      return `a text node has "type", "text" and "marks", and cannot hold "${member}"`
  if (typeof json['text'] !== 'string' || json['text'] === '')
    return 'a text node has a "text" that is not empty'
  const marks = json['marks']
  if (marks === undefined) return undefined
  if (!isJsonArray(marks)) return '"marks" is an array'
  for (const mark of marks) {
    if (!isJsonObject(mark) || typeof mark['type'] !== 'string') return 'a mark has a "type"'
    if (mark['attrs'] !== undefined && !isJsonObject(mark['attrs']))
      return 'the "attrs" of a mark is an object'
  }
  return undefined
}

/** The content of a node by its parts. It must have no problem. */
export function chunksOf(content: readonly JsonValue[]): Chunk[] {
  const chunks: Chunk[] = []
  let segments: Segment[] = []
  const flush = (): void => {
    if (segments.length > 0) chunks.push({ segments, element: undefined })
    segments = []
  }
  for (const node of content) {
    if (!isJsonObject(node)) continue
    if (node['type'] === 'text') segments.push(segmentOf(node))
    else {
      flush()
      chunks.push({ segments: undefined, element: node })
    }
  }
  flush()
  return chunks
}

/** What is to be created for new content. */
export function specsOfContent(content: readonly JsonValue[]): Spec[] {
  return chunksOf(content).map(specOfChunk)
}

export function specOfChunk({ segments, element }: Chunk): Spec {
  if (segments !== undefined) return { kind: 'xml-text', segments }
  const { attrs, content } = element
  const attributes = isJsonObject(attrs)
    ? Object.keys(attrs)
        .toSorted()
        .map((name) => [name, { kind: 'any', value: attrs[name] ?? null }] as const)
    : []
  const items = isJsonArray(content) ? specsOfContent(content) : []
  // An empty `content` is that of a node with an empty text.
  if (isJsonArray(content) && content.length === 0) items.push({ kind: 'xml-text', segments: [] })
  return { kind: 'element', name: textOf(element['type']), attributes, items }
}

function segmentOf(node: JsonObject): Segment {
  const attributes: Record<string, JsonValue> = {}
  const { marks, text } = node
  if (isJsonArray(marks))
    for (const mark of marks) if (isJsonObject(mark)) attributes[textOf(mark['type'])] = mark['attrs'] ?? {}
  return { insert: textOf(text), attributes }
}

function textOf(json: JsonValue | undefined): string {
  return typeof json === 'string' ? json : ''
}
