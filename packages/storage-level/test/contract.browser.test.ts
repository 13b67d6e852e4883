import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { contractTests, skipReason } from '@polyphony/storage/testing'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundlePage, startBrowser, type PageScript, type RunningBrowser } from './support/browser.ts'

/** As a store in IndexedDB says of itself. */
const capabilities = {
  name: 'level',
  survives: { processKill: true, powerCut: false, failover: false },
  shared: false,
}

let profile: string
let script: PageScript
let browser: RunningBrowser
let page: Page

beforeAll(async () => {
  profile = await mkdtemp(join(tmpdir(), 'polyphony-profile-'))
  script = await bundlePage()
  browser = await startBrowser(profile, script.code)
  page = await browser.openPage()
})

afterAll(async () => {
  await browser.close()
  await rm(profile, { recursive: true, force: true })
})

describe('LevelStore in a browser, on IndexedDB', () => {
  it('needs nothing of Node', () => {
    expect(script.nodeModules).toEqual([])
  })

  for (const test of contractTests) {
    const reason = skipReason(test, capabilities, false)
    if (reason !== undefined) it.skip(`${test.title} [${test.id}]: ${reason}`)
    else {
      it(`${test.title} [${test.id}]`, async () => {
        const problem = await page.evaluate((id) => globalThis.page.runContractTest(id, 3), test.id)
        expect(problem).toBeUndefined()
      })
    }
  }
})
