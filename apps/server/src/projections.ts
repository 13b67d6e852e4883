import { compileDocumentGlob } from '@polyphony/server'
import { isJsonArray, isJsonObject, toJson, type JsonValue, type LayoutOptions } from '@polyphony/translator'
import { Doc } from 'yjs'
import { Expected } from './expected.ts'

/** How a document appears as JSON. */
export type Projections = (documentId: string) => LayoutOptions

const members = new Set(['documents', 'root', 'mounts', 'auto', 'texts'])

/**
 * Reads a list such as `[{"documents": "notes/**", "mounts": {"/text": {"kind": "text", "name": "text"}}}]`. The first
 * entry whose pattern fits a document counts; a document that none fits has the translator's defaults.
 */
export function parseProjections(text: string): Projections {
  const rules = parseList(text).map((entry) => {
    if (!isJsonObject(entry) || typeof entry['documents'] !== 'string')
      throw new Expected('every projection is an object with the member "documents", a pattern.')
    const unknown = Object.keys(entry).find((member) => !members.has(member))
    if (unknown !== undefined)
      throw new Expected(`projections have no member "${unknown}". Known: ${[...members].join(', ')}.`)
    const { documents, ...layout } = entry
    return { fits: compileDocumentGlob(documents), layout: checkLayout(layout) }
  })
  return (documentId) => rules.find(({ fits }) => fits(documentId))?.layout ?? {}
}

function parseList(text: string): readonly JsonValue[] {
  let list: JsonValue
  try {
    list = JSON.parse(text) as JsonValue
  } catch {
    throw new Expected('the projections are not JSON.')
  }
  if (isJsonArray(list)) return list
  throw new Expected('the projections are a JSON list.')
}

function checkLayout(value: Readonly<Record<string, JsonValue>>): LayoutOptions {
  const { root, auto, mounts = {}, texts = {} } = value
  const isWellTyped =
    (root === undefined || typeof root === 'string') &&
    (auto === undefined || typeof auto === 'boolean') &&
    isJsonObject(mounts) &&
    Object.values(mounts).every(isMount) &&
    isJsonObject(texts) &&
    Object.values(texts).every((mode) => mode === 'string' || mode === 'lines')
  if (!isWellTyped)
    throw new Expected(
      'a projection has "mounts" like {"/text": {"kind": "text", "name": "text"}} (kinds: map, array, text, xml), ' +
        '"texts" like {"/text": "lines"}, "root", a name, and "auto", true or false.',
    )
  const layout = value as LayoutOptions
  try {
    toJson(new Doc(), layout)
  } catch (error) {
    throw new Expected(`a projection cannot be: ${error instanceof Error ? error.message : String(error)}.`)
  }
  return layout
}

function isMount(value: JsonValue): boolean {
  if (!isJsonObject(value)) return false
  const { kind, name } = value
  return typeof name === 'string' && (kind === 'map' || kind === 'array' || kind === 'text' || kind === 'xml')
}
