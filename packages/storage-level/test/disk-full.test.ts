import { execFileSync } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isPolyphonyError } from '@polyphony/core'
import type { DocumentStore } from '@polyphony/storage'
import { openLevelStore } from '@polyphony/storage-level'
import { appendTo, chunksOf, eventually, readAll, sampleBytes, sampleEntry } from '@polyphony/storage/testing'
import { describe, expect, it } from 'vitest'
import { withTemporaryDirectory } from './support/temporary-directory.ts'

const missing = process.getuid?.() === 0 ? canMount() : 'only root can mount a small file system for it'

describe.skipIf(missing !== undefined)(`a full disk${missing === undefined ? '' : `: ${missing}`}`, () => {
  it('is refused with `store-failed`, loses nothing acknowledged, and is over as soon as there is space', async () => {
    await onSmallDisk(async (directory) => {
      const ballast = join(directory, 'ballast')
      await writeFile(ballast, new Uint8Array(6 << 20))
      const data = join(directory, 'data')
      const store = await openLevelStore(data, { writeBufferBytes: 256 << 10 })
      const acknowledged = new Map<number, number>()
      let failures = 0
      for (let number = 1; failures < 30; number++) {
        // Large and small in turn: when the large no longer fit, some of the small still do.
        const size = number % 3 === 0 ? 400_000 : 2000
        failures += (await tryAppend(store, number, size, acknowledged)) ? 0 : 1
      }
      expect(acknowledged.size).toBeGreaterThan(20)
      await expectFailure(store.checkpoint('doc', makeCheckpoint(1)))
      await verify(store, acknowledged).catch((error: unknown) =>
        expect(error).toMatchObject({ code: 'store-failed' }),
      )

      await rm(ballast)
      await eventually(() => tryAppend(store, 1_000_000, 2000, acknowledged), 'it takes entries again')
      for (let number = 1_000_001; number < 1_000_020; number++)
        expect(await tryAppend(store, number, 20_000, acknowledged)).toBe(true)
      await verify(store, acknowledged)
      await store.close()

      const again = await openLevelStore(data)
      await verify(again, acknowledged)
      await again.close()
    })
  })
})

async function onSmallDisk(use: (directory: string) => Promise<void>): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', directory])
    try {
      await use(directory)
    } finally {
      execFileSync('umount', [directory])
    }
  })
}

function canMount(): string | undefined {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', '/mnt'])
    execFileSync('umount', ['/mnt'])
    return undefined
  } catch {
    return 'this machine does not let root mount a tmpfs'
  }
}

/** Whether it was acknowledged. Its place is noted with the seed of its bytes. */
async function tryAppend(
  store: DocumentStore,
  number: number,
  size: number,
  acknowledged: Map<number, number>,
): Promise<boolean> {
  try {
    const { first } = await appendTo(store, 'doc', [
      sampleEntry(sampleBytes(size, number), { author: `${number} ${size}` }),
    ])
    acknowledged.set(first, number)
    return true
  } catch (error) {
    if (isPolyphonyError(error) && error.code === 'store-failed') return false
    throw error
  }
}

async function expectFailure(promise: Promise<unknown>): Promise<void> {
  await expect(promise).rejects.toMatchObject({ code: 'store-failed' })
}

function makeCheckpoint(revision: number) {
  return { revision, stateVector: sampleBytes(10), state: chunksOf(sampleBytes(8 << 20)) }
}

async function verify(store: DocumentStore, acknowledged: ReadonlyMap<number, number>): Promise<void> {
  const { entries } = await readAll(store, 'doc')
  for (const [revision, number] of acknowledged)
    expect(entries[revision - 1]?.meta.author.split(' ')[0], `entry ${revision}`).toBe(`${number}`)
  for (const { update, meta } of entries) {
    const [number, size] = meta.author.split(' ').map(Number)
    expect(Buffer.compare(update, sampleBytes(size ?? 0, number))).toBe(0)
  }
}
