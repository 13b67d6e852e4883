import { resolve } from 'node:path'
import { Expected } from './expected.ts'

/** Where documents are kept. */
export type StoreLocation =
  | { readonly kind: 'memory' }
  | { readonly kind: 'level'; readonly directory: string }
  | { readonly kind: 'redis'; readonly url: string }
  | { readonly kind: 'postgres'; readonly url: string }

const schemes: Readonly<Record<string, 'redis' | 'postgres'>> = {
  'redis:': 'redis',
  'rediss:': 'redis',
  'postgres:': 'postgres',
  'postgresql:': 'postgres',
}

export function parseStoreLocation(text: string): StoreLocation {
  if (text === 'memory:' || text === 'memory') return { kind: 'memory' }
  const directory = /^level:(.+)$/.exec(text)?.[1]
  if (directory !== undefined) return { kind: 'level', directory: resolve(directory) }
  const scheme = /^[a-z]+:(?=\/\/)/.exec(text)?.[0] ?? ''
  const kind = Object.hasOwn(schemes, scheme) ? schemes[scheme] : undefined
  if (kind !== undefined && URL.canParse(text)) return { kind, url: text }
  // What was given may hold a password, so it is not repeated.
  throw new Expected('not a store: use memory:, level:DIRECTORY, redis://…, rediss://… or postgres://….')
}

/** The location without credentials, for logs and messages. */
export function describeStore(location: StoreLocation): string {
  switch (location.kind) {
    case 'memory':
      return 'memory:'
    case 'level':
      return `level:${location.directory}`
    case 'redis':
    case 'postgres': {
      const { protocol, host, pathname } = new URL(location.url)
      return `${protocol}//${host}${pathname}`
    }
  }
}
