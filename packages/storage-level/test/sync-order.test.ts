import { execFile, spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { buildPackage, childScript } from './support/build.ts'
import { withTemporaryDirectory } from './support/temporary-directory.ts'

const run = promisify(execFile)
const edits = 1000
const probe = spawnSync('strace', ['-f', '-o', '/dev/null', 'true'])
const missing =
  probe.status === 0 ? undefined : 'strace is not installed, or may not trace (apt-get install strace)'

describe.skipIf(missing !== undefined)(
  `the order of system calls, over ${edits} edits${missing === undefined ? '' : `: ${missing}`}`,
  () => {
    beforeAll(buildPackage)

    it('with fsync on, the log is written and fdatasync has returned before each acknowledgement', async () => {
      const { acknowledged, early } = await trace('fsync')
      expect(acknowledged).toBe(edits)
      expect(early).toEqual([])
    })

    it('with fsync off it is not, so the check above can fail', async () => {
      const { acknowledged, early } = await trace('no-fsync')
      expect(acknowledged).toBe(edits)
      expect(early.length).toBe(edits)
    })
  },
)

async function trace(fsync: 'fsync' | 'no-fsync'): Promise<TraceResult> {
  return await withTemporaryDirectory(async (directory) => {
    const output = join(directory, 'trace')
    const options = ['-f', '-y', '-s', '64', '-e', 'trace=write,fdatasync,fsync', '-o', output]
    const child = [
      process.execPath,
      childScript('sequential-edits.mjs'),
      join(directory, 'data'),
      `${edits}`,
      fsync,
    ]
    await run('strace', [...options, ...child])
    return checkOrder((await readFile(output, 'utf8')).split('\n'))
  })
}

interface TraceResult {
  readonly acknowledged: number
  /** Numbers of the edits that were acknowledged too early. */
  readonly early: readonly number[]
}

/**
 * Since the acknowledgement before, the log must have been written, then a sync of it have begun, and returned 0. Lines are
 * `PID call(FD<path>, …) = result`; a call during which other threads ran is split in `<unfinished ...>` and `resumed`.
 */
function checkOrder(lines: readonly string[]): TraceResult {
  const early: number[] = []
  const syncing = new Map<string, number>()
  let acknowledged = 0
  let wroteAt = -1
  let syncedAt = -1
  for (const [at, line] of lines.entries()) {
    const pid = line.split(' ', 1)[0] ?? ''
    if (/ write\(\d+<[^>]*\.log>/.test(line)) wroteAt = at
    const begins = / f(?:data)?sync\(\d+<[^>]*\.log>/.test(line)
    if (begins) syncing.set(pid, at)
    const returns = (begins && !line.includes('<unfinished')) || / f(?:data)?sync resumed>/.test(line)
    const begunAt = syncing.get(pid)
    if (returns && begunAt !== undefined) {
      syncing.delete(pid)
      if (line.endsWith('= 0') && begunAt > wroteAt) syncedAt = at
    }
    const edit = / write\(1<[^>]*>, "ack (\d+)\\n"/.exec(line)?.[1]
    if (edit === undefined) continue
    acknowledged++
    if (wroteAt === -1 || syncedAt < wroteAt) early.push(Number(edit))
    wroteAt = -1
    syncedAt = -1
  }
  return { acknowledged, early }
}
