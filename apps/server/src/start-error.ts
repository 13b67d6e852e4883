import type { Configuration } from './configuration.ts'
import { describeStore } from './store-location.ts'

/** Why a command could not do its work, in a line that says what to do: exit code 1. */
export class StartError extends Error {
  override readonly name = 'StartError'
}

/** Turns what opening the store or the port threw into a `StartError`. Anything unknown keeps its own words. */
export function toStartError(error: unknown, { host, port, store }: Configuration): StartError {
  const codes = errorChain(error)
  const place = describeStore(store)
  const explain = (message: string): StartError => new StartError(message, { cause: error })
  if (codes.has('EADDRINUSE'))
    return explain(
      `Port ${port} on ${host} is in use. Stop the program that has it, or choose another with --port.`,
    )
  const isOfStore = codes.has('store-failed')
  if (isOfStore && untrusted.some((code) => codes.has(code)))
    return explain(
      `The store ${place} shows a certificate that nobody vouches for: name the one that does with --store-ca. ${messageOf(error)}`,
    )
  if (isOfStore && unreachable.some((code) => codes.has(code)))
    return explain(
      `The store ${place} cannot be reached: check its address, and that it runs. ${messageOf(error)}`,
    )
  if (codes.has('EADDRNOTAVAIL') || codes.has('ENOTFOUND'))
    return explain(`This machine has no address ${host} to listen on.`)
  if (codes.has('store-locked'))
    return explain(
      `The store ${place} is open in another process. Stop that server, or choose another --store.`,
    )
  if (codes.has('store-misconfigured'))
    return explain(`The store ${place} was written with other settings: ${messageOf(error)}`)
  if (!codes.has('listen') && unwritable.some((code) => codes.has(code)))
    return explain(`The store ${place} cannot be written: check the path and its permissions.`)
  if (codes.has('EACCES')) return explain(`Listening on port ${port} is not permitted; ports from 1024 are.`)
  return explain(`The server could not start: ${messageOf(error)}`)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

const untrusted = [
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
]
const unreachable = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH']
const unwritable = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'ENAMETOOLONG']

/** The codes, and failed system calls, of an error and all its causes. */
function errorChain(error: unknown): ReadonlySet<string> {
  const found = new Set<string>()
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    if ('code' in at) found.add(String(at.code))
    if ('syscall' in at) found.add(String(at.syscall))
    // LevelDB reports system errors only in words.
    if (/permission denied|read-only file system/i.test(at.message)) found.add('EACCES')
  }
  return found
}
