import { writeFile } from 'node:fs/promises'
import * as Y from 'yjs'
import { sampleText } from './append-load.ts'

/** Writes the state of a document with one text of this many letters: a Yjs update. */
export async function writeLargeState(file: string, bytes: number): Promise<void> {
  const doc = new Y.Doc()
  const piece = sampleText(Math.min(bytes, 1 << 16))
  doc.getText('text').insert(0, piece.repeat(Math.ceil(bytes / piece.length)).slice(0, bytes))
  await writeFile(file, Y.encodeStateAsUpdate(doc))
  doc.destroy()
}
