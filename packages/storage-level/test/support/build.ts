import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const packageDirectory = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Child processes are plain `.mjs` scripts that import the built packages, for Node 20 cannot run TypeScript. This brings
 * `dist` up to date; it does nothing after `pnpm build`.
 */
export async function buildPackage(): Promise<void> {
  await run('pnpm', ['exec', 'tsc', '-b', packageDirectory], { cwd: packageDirectory })
}

/** The path of a script in `test/children`. */
export function childScript(name: string): string {
  return fileURLToPath(new URL(`../children/${name}`, import.meta.url))
}
