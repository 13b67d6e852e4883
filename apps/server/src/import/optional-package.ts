import { StartError } from '../start-error.ts'

/**
 * Loads a package that only some users need. Throws a `StartError` that says how to get it when it is not installed. The
 * caller says what is in it: such packages may come without types.
 */
export async function loadOptionalPackage<T>(name: string, version: string): Promise<T> {
  try {
    return (await import(/* @vite-ignore */ name)) as T
  } catch (error) {
    // One that is there but lacks something of its own is another matter.
    const isMissing =
      error instanceof Error &&
      'code' in error &&
      error.code === 'ERR_MODULE_NOT_FOUND' &&
      error.message.includes(`'${name}'`)
    if (!isMissing) throw error
    throw new StartError(
      `Reading this source needs the package ${name}, which is not installed. Install it beside this program: npm install ${name}@${version}`,
      { cause: error },
    )
  }
}
