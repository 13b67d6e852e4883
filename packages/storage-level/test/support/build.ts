import { fileURLToPath } from 'node:url'
import { buildForChildren } from '@polyphony/test-services'

/** Child processes are plain `.mjs` scripts that import the built packages. */
export async function buildPackage(): Promise<void> {
  await buildForChildren(new URL('../..', import.meta.url))
}

/** The built package, for a child to import. */
export const builtModule = new URL('../../dist/index.js', import.meta.url).href

/** The path of a script in `test/children`. */
export function childScript(name: string): string {
  return fileURLToPath(new URL(`../children/${name}`, import.meta.url))
}
