import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { bundlePage, startBrowser, type RunningBrowser } from './support/browser.ts'

const kills = process.env['POLYPHONY_SOAK'] === '1' ? 10 : 2

let script: string
let profile: string
let browser: RunningBrowser

beforeAll(async () => {
  script = (await bundlePage()).code
})

beforeEach(async () => {
  profile = await mkdtemp(join(tmpdir(), 'polyphony-profile-'))
  browser = await startBrowser(profile, script)
})

afterEach(async () => {
  await browser.kill()
  await rm(profile, { recursive: true, force: true })
})

describe('a store in IndexedDB', () => {
  it('is there again after a reload, in the same incarnation, and goes on', async () => {
    const page = await browser.openPage()
    await page.evaluate(async () => {
      await globalThis.page.open('notes')
      await globalThis.page.append('doc', 1, 100, 100)
      await globalThis.page.append('doc', 101, 102, 600_000)
      await globalThis.page.checkpoint('doc', 50, 600_000)
    })
    const before = await contentOf(page)
    // Not closed before: so do people leave a page.
    await page.reload()
    await page.evaluate(() => globalThis.page.open('notes'))
    expect(await contentOf(page)).toEqual(before)
    await page.evaluate(() => globalThis.page.append('doc', 103, 103, 100))
    expect((await contentOf(page)).entries.at(-1)).toEqual([103, 103])
  })

  it(`has everything that was acknowledged when the browser is killed (${kills} times)`, async () => {
    const stored = new Map<number, number>()
    for (let round = 0; round < kills; round++) {
      const page = await browser.openPage()
      const enough = new Promise<void>((resolve) => {
        void page.exposeFunction('acknowledged', (_documentId: string, revision: number, number: number) => {
          expect(stored.has(revision), `revision ${revision} is given once`).toBe(false)
          stored.set(revision, number)
          if (stored.size > 40 * (round + 1) + 7 * round) resolve()
        })
      })
      await page.reload()
      await page.evaluate(() => globalThis.page.open('notes'))
      if (round > 0) expectStored(await contentOf(page), stored)
      const lanes = page.evaluate(async (start) => {
        const lane = async (from: number) => {
          for (let number = from; ; number += 10)
            await globalThis.page.append('doc', number, number, number % 7 === 0 ? 300_000 : 200)
        }
        await Promise.all(Array.from({ length: 10 }, (_, index) => lane(start + index)))
      }, round * 100_000)
      await Promise.race([enough, lanes])
      await browser.kill()
      await lanes.catch(() => undefined)
      browser = await startBrowser(profile, script)
    }
    const page = await browser.openPage()
    await page.evaluate(() => globalThis.page.open('notes'))
    expectStored(await contentOf(page), stored)
  })

  it('lets in one tab at a time, and the next one once the first is gone', async () => {
    const [first, second] = [await browser.openPage(), await browser.openPage()]
    await first.evaluate(() => globalThis.page.open('notes'))
    expect(await second.evaluate(() => globalThis.page.failureOf('open', 'notes'))).toMatchObject({
      code: 'store-locked',
      message: expect.stringContaining('another tab'),
    })
    await second.evaluate(() => globalThis.page.open('other'))
    await second.evaluate(() => globalThis.page.close())
    await first.close()
    await expect
      .poll(() => second.evaluate(() => globalThis.page.failureOf('open', 'notes')), { timeout: 10_000 })
      .toBeUndefined()
  })

  it('says so when the quota is used up, keeps what it has, and goes on once there is room', async () => {
    const page = await browser.openPage()
    const session = await page.context().newCDPSession(page)
    const { origin } = new URL(page.url())
    // Before the first write: Chromium asks for the quota again only when it has used up what it knows of.
    await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 300_000 })
    await page.evaluate(async () => {
      await globalThis.page.open('notes')
      await globalThis.page.append('doc', 1, 10, 1000)
    })
    const full = { code: 'store-failed', extra: { reason: 'QuotaExceededError' } }
    expect(
      await page.evaluate(() => globalThis.page.failureOf('append', 'doc', 11, 30, 100_000)),
    ).toMatchObject({
      ...full,
      message: expect.stringContaining('no room left'),
    })
    expect(
      await page.evaluate(() => globalThis.page.failureOf('checkpoint', 'doc', 10, 4_000_000)),
    ).toMatchObject(full)
    const kept = (await contentOf(page)).entries
    expect(kept.slice(0, 10)).toEqual(Array.from({ length: 10 }, (_, index) => [index + 1, index + 1]))
    await session.send('Storage.overrideQuotaForOrigin', { origin })
    await page.evaluate(() => globalThis.page.append('doc', 31, 31, 100_000))
    await page.reload()
    await page.evaluate(() => globalThis.page.open('notes'))
    expect((await contentOf(page)).entries).toEqual([...kept, [kept.length + 1, 31]])
  })

  it('that is taken away with the site data says so, and begins anew under new incarnations', async () => {
    const page = await browser.openPage()
    await page.evaluate(async () => {
      await globalThis.page.open('notes')
      await globalThis.page.append('doc', 1, 10, 1000)
    })
    const before = await page.evaluate(() => globalThis.page.incarnation('doc'))
    const session = await page.context().newCDPSession(page)
    const { origin } = new URL(page.url())
    await session.send('Storage.clearDataForOrigin', { origin, storageTypes: 'indexeddb' })
    for (const number of [11, 12]) {
      expect(
        await page.evaluate((one) => globalThis.page.failureOf('append', 'doc', one, one, 100), number),
      ).toMatchObject({ code: 'store-failed', extra: { reason: 'InvalidStateError' } })
    }
    await page.evaluate(async () => {
      await globalThis.page.close()
      await globalThis.page.open('notes')
      await globalThis.page.append('doc', 12, 12, 100)
    })
    expect((await contentOf(page)).entries).toEqual([[1, 12]])
    expect(await page.evaluate(() => globalThis.page.incarnation('doc'))).not.toBe(before)
  })
})

async function contentOf(page: Page) {
  return await page.evaluate(async () => ({
    incarnation: await globalThis.page.incarnation('doc'),
    ...(await globalThis.page.read('doc')),
  }))
}

function expectStored(
  { entries }: { readonly entries: readonly [revision: number, number: number][] },
  stored: ReadonlyMap<number, number>,
): void {
  const found = new Map(entries)
  for (const [revision, number] of stored) expect(found.get(revision), `revision ${revision}`).toBe(number)
}
