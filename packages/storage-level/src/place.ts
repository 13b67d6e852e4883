import { open, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Place } from './session.ts'

/**
 * A file in the directory of a store that is replaced at each opening. What counts is not what is in it but which file it
 * is: a copy of the directory, or one that was put back from a backup, has another one, whatever the tool.
 */
export function placeOf(directory: string): Place {
  const path = join(directory, 'PLACE')
  return {
    find: () => identityOf(path),
    async prepare() {
      const next = `${path}.new`
      const file = await open(next, 'w')
      await file.writeFile('Tells this directory from its copies. Written at each opening.\n')
      await file.close()
      return { identity: (await identityOf(next)) ?? '', commit: () => rename(next, path) }
    },
  }
}

/** Inode numbers are used again, together with the time of creation they are not. */
async function identityOf(path: string): Promise<string | undefined> {
  try {
    const { ino, birthtimeNs } = await stat(path, { bigint: true })
    return `${ino}:${birthtimeNs}`
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
