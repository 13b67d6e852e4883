import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

/** The long tier runs everything in full. */
export const soak = process.env['POLYPHONY_SOAK'] === '1'

export interface EditingTrace {
  readonly startContent: string
  readonly endContent: string
  readonly txns: readonly {
    readonly patches: readonly (readonly [position: number, deleted: number, inserted: string])[]
  }[]
}

export function readFixture(name: string): unknown {
  return JSON.parse(
    gunzipSync(readFileSync(new URL(`../fixtures/${name}.gz`, import.meta.url))).toString('utf8'),
  )
}
