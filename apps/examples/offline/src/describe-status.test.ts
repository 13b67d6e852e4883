import type { DocumentStatus } from '@polyphony/client'
import { describe, expect, it } from 'vitest'
import { describeStatus } from './describe-status.ts'

const connections = ['offline', 'connecting', 'online', 'refused'] as const
const booleans = [true, false]

describe('describeStatus', () => {
  it('says "Saved" only when the server has it all, and never that all is well otherwise', () => {
    for (const connection of connections)
      for (const saved of booleans)
        for (const savedLocally of booleans)
          for (const loaded of booleans)
            for (const access of ['write', 'read'] as const) {
              const status: DocumentStatus = {
                connection,
                saved,
                savedLocally,
                loaded,
                access,
                pending: saved ? 0 : 1,
              }
              const { tone, title, detail } = describeStatus(status)
              if (tone === 'good' || title.startsWith('Saved'))
                expect(status).toMatchObject({ saved: true, loaded: true })
              if (/kept on this device/i.test(title + detail) && loaded) expect(savedLocally).toBe(true)
              expect(detail).not.toBe('')
            }
  })
})
