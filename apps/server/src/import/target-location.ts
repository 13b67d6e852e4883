import { existsSync, mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { isPolyphonyError, type Logger } from '@polyphony/core'
import { MemoryStore, type DocumentStore } from '@polyphony/storage'
import { Expected } from '../expected.ts'
import { StartError } from '../start-error.ts'
import { hidePassword } from './hide-password.ts'

/** Which store documents go into. */
export type TargetLocation =
  | { readonly kind: 'level'; readonly directory: string }
  | { readonly kind: 'redis' | 'postgres'; readonly address: string }

/** Reads `level:DIRECTORY`, `redis://…`, `rediss://…` or `postgres://…`; throws `Expected`. */
export function parseTargetLocation(text: string): TargetLocation {
  const directory = /^level:(.+)$/.exec(text)?.[1]
  if (directory !== undefined) return { kind: 'level', directory: resolve(directory) }
  const [, kind] = /^(rediss?|postgres|postgresql):\/\/[^/]/.exec(text) ?? []
  if (kind !== undefined && URL.canParse(text))
    return { kind: kind.startsWith('redis') ? 'redis' : 'postgres', address: text }
  throw new Expected(
    `"${text}" is not a store to import into: use "level:DIRECTORY", "redis://HOST:PORT" or "postgres://HOST/DATABASE".`,
  )
}

/** The place for people, without passwords. */
export function titleOfTarget(location: TargetLocation): string {
  return location.kind === 'level' ? `level:${location.directory}` : hidePassword(location.address)
}

export interface TargetOptions {
  /** Do not make a directory that is not there: an empty store stands for it. */
  readonly dryRun: boolean
  /** Accept a server that may lose what it acknowledged. */
  readonly allowVolatile: boolean
  readonly logger: Logger
}

/** Opens the store; throws a `StartError` that says what is wrong with it. */
export async function openTarget(location: TargetLocation, options: TargetOptions): Promise<DocumentStore> {
  try {
    return await open(location, options)
  } catch (error) {
    const title = titleOfTarget(location)
    if (isPolyphonyError(error) && error.code === 'store-locked')
      throw new StartError(`The store in ${title} is open in another process: stop that server first.`, {
        cause: error,
      })
    const message = error instanceof Error ? error.message : String(error)
    throw new StartError(`The store ${title} cannot be opened: ${message}`, { cause: error })
  }
}

/** Loads only what this kind of store needs. */
async function open(location: TargetLocation, options: TargetOptions): Promise<DocumentStore> {
  const { dryRun, allowVolatile, logger } = options
  switch (location.kind) {
    case 'level': {
      if (dryRun && !existsSync(location.directory)) return new MemoryStore()
      mkdirSync(location.directory, { recursive: true })
      const { openLevelStore } = await import('@polyphony/storage-level')
      return await openLevelStore(location.directory, { logger })
    }
    case 'redis': {
      const { openRedisStore } = await import('@polyphony/storage-redis')
      return await openRedisStore(location.address, { allowVolatile, logger })
    }
    case 'postgres': {
      const { openPostgresStore } = await import('@polyphony/storage-postgres')
      return await openPostgresStore(location.address, { allowVolatile, logger })
    }
  }
}
