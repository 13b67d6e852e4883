import type { JsonValue, LayoutOptions } from '@polyphony/translator'
import type { Doc } from 'yjs'

/** One document of a source, as far as its own bytes say. Updates that wait for missing ones are still pending in it. */
export interface SourceDocument {
  readonly doc: Doc
  /** What the document has to look like as JSON, where the source is JSON. */
  readonly json?: JsonValue | undefined
}

/** Somewhere that documents come from. It is only read. */
export interface ImportSource {
  /** What it is and where, for people; without passwords. */
  readonly title: string
  /** How its documents appear as JSON; the argument is the name in the source. */
  readonly layout: (name: string) => LayoutOptions
  /** The ids of its documents, as the source has them, in order. */
  names(): Promise<readonly string[]>
  /** Throws whatever the source throws; whoever calls it adds which document it was. */
  load(name: string): Promise<SourceDocument>
  close(): Promise<void>
}
