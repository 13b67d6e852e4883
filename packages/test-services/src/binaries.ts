import { accessSync, constants, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** The folders where servers are found: the PATH, those that a user's PATH may lack, and Debian's for PostgreSQL. */
function folders(): readonly string[] {
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  return [...path, '/usr/bin', '/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin', ...debianPostgres()]
}

/** The path of the first of these programs that the machine has, or `undefined`. */
export function findBinary(...names: readonly string[]): string | undefined {
  const places = folders()
  return names.flatMap((name) => places.map((folder) => join(folder, name))).find(isExecutable)
}

/** The same, or an error that says what to do about it. */
export function requireBinary(...names: readonly string[]): string {
  const path = findBinary(...names)
  if (path !== undefined) return path
  throw new Error(
    `There is no ${names.join(' or ')} on this machine: install it, or run \`node scripts/install-services.mjs\`, ` +
      'or name a running server in POLYPHONY_TEST_REDIS_URL or POLYPHONY_TEST_POSTGRES_URL.',
  )
}

/** Debian keeps each major version in a folder of its own, off the PATH; the newest comes first. */
function debianPostgres(): readonly string[] {
  const root = '/usr/lib/postgresql'
  try {
    const versions = readdirSync(root).toSorted((left, right) => Number(right) - Number(left))
    return versions.map((version) => join(root, version, 'bin'))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
