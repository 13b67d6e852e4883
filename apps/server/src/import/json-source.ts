import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, join, relative, sep } from 'node:path'
import { seed, type JsonValue, type LayoutOptions } from '@polyphony/translator'
import { Doc, applyUpdate } from 'yjs'
import { StartError } from '../start-error.ts'
import type { ImportSource } from './import-source.ts'

const extension = '.json'

/**
 * A JSON file is a document, named like the file; a directory is all `*.json` files in and below it, named by their path:
 * `notes/a.json` is the document `notes/a`. `seed` makes documents of them, so the same file gives the same bytes again.
 */
export async function openJsonSource(
  path: string,
  layout: (name: string) => LayoutOptions,
): Promise<ImportSource> {
  const files = await findFiles(path)
  return {
    title: `JSON in ${path}`,
    layout,
    names: async () => [...files.keys()],
    async load(name) {
      const file = files.get(name)
      if (file === undefined) throw new Error('there is no such file')
      const json = JSON.parse(await readFile(file, 'utf8')) as JsonValue
      const doc = new Doc()
      applyUpdate(doc, seed(json, layout(name)))
      return { doc, json }
    },
    close: async () => undefined,
  }
}

async function findFiles(path: string): Promise<ReadonlyMap<string, string>> {
  try {
    if (!(await stat(path)).isDirectory()) return new Map([[basename(path, extension), path]])
    const entries = await readdir(path, { recursive: true, withFileTypes: true })
    const files = entries
      .filter((entry) => entry.isFile() && entry.name.endsWith(extension))
      .map((entry) => join(entry.parentPath, entry.name))
    return new Map(files.map((file) => [nameOf(path, file), file]))
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new StartError(`The JSON cannot be read: ${message}`, { cause: error })
  }
}

function nameOf(folder: string, file: string): string {
  return relative(folder, file).slice(0, -extension.length).split(sep).join('/')
}
