import { resolve } from 'node:path'
import type { LayoutOptions } from '@polyphony/translator'
import { Expected } from '../expected.ts'
import type { ImportSource } from './import-source.ts'
import { openJsonSource } from './json-source.ts'
import { openYLeveldbSource } from './y-leveldb-source.ts'
import { openYRedisSource } from './y-redis-source.ts'

/** Where documents come from. */
export type SourceLocation =
  | { readonly kind: 'y-leveldb'; readonly directory: string }
  | { readonly kind: 'y-redis'; readonly address: string }
  | { readonly kind: 'json'; readonly path: string }

/** Reads `y-leveldb:DIRECTORY`, `y-redis:redis://…` or `json:PATH`; throws `Expected`. */
export function parseSourceLocation(text: string): SourceLocation {
  const [, kind, place = ''] = /^([a-z-]+):(.+)$/.exec(text) ?? []
  if (kind === 'y-leveldb') return { kind, directory: resolve(place) }
  if (kind === 'json') return { kind, path: resolve(place) }
  if (kind === 'y-redis') {
    if (URL.canParse(place) && /^rediss?:\/\/[^/]/.test(place)) return { kind, address: place }
    throw new Expected(`"${text}" has no address of a Redis, such as y-redis:redis://127.0.0.1:6379.`)
  }
  throw new Expected(
    `"${text}" is not a source: use "y-leveldb:DIRECTORY", "y-redis:redis://HOST:PORT" or "json:PATH".`,
  )
}

/** Opens it. Throws a `StartError` that says what is wrong with it. */
export async function openSource(
  location: SourceLocation,
  layout: (name: string) => LayoutOptions,
): Promise<ImportSource> {
  switch (location.kind) {
    case 'y-leveldb':
      return await openYLeveldbSource(location.directory)
    case 'y-redis':
      return await openYRedisSource(location.address)
    case 'json':
      return await openJsonSource(location.path, layout)
  }
}
