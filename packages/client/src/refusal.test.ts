import { errorTable, type ErrorCode } from '@polyphony/core'
import { describe, expect, it } from 'vitest'
import { judgeEnd, readDenial } from './refusal.ts'

const codes = Object.keys(errorTable) as ErrorCode[]
const end = { documentId: 'plan', canRenewToken: false, repeats: 1 }

describe('judgeEnd', () => {
  it('knows every code of the table, by its reason, and never stops where the table says "again"', () => {
    for (const code of codes) {
      const verdict = judgeEnd({ ...end, code: errorTable[code].close, reason: code })
      expect(verdict.error?.code).toBe(code)
      if (errorTable[code].retry) expect(verdict.action, code).toBe('retry')
    }
  })

  it('stops where only the application can help', () => {
    for (const code of [
      'forbidden',
      'unauthorized',
      'document-deleted',
      'incarnation-mismatch',
      'update-too-large',
    ])
      expect(judgeEnd({ ...end, code: 4400, reason: code }).action, code).toBe('stop')
  })

  it('renews a token, but not for ever', () => {
    const refused = { ...end, code: 4401, reason: 'unauthorized', canRenewToken: true }
    expect([1, 2, 3].map((repeats) => judgeEnd({ ...refused, repeats }).action)).toEqual([
      'retry',
      'retry',
      'stop',
    ])
  })

  it('retries without an error when the network went away', () => {
    expect(judgeEnd({ ...end, code: 1006, reason: '' })).toEqual({ action: 'retry' })
    expect(judgeEnd(end)).toEqual({ action: 'retry' })
  })

  it('understands close codes without a reason, from servers of others', () => {
    expect(judgeEnd({ ...end, code: 4404 })).toMatchObject({
      action: 'stop',
      error: { code: 'document-not-found' },
    })
    expect(judgeEnd({ ...end, code: 4429 })).toMatchObject({
      action: 'retry',
      error: { code: 'rate-limited' },
    })
    expect(judgeEnd({ ...end, code: 4500 })).toEqual({ action: 'retry' })
  })
})

describe('readDenial', () => {
  it('reads code and message', () => {
    expect(readDenial('document-deleted: "plan" was\ndeleted.', 'plan')).toMatchObject({
      code: 'document-deleted',
      message: '"plan" was\ndeleted.',
    })
    expect(readDenial('go away', 'plan')).toMatchObject({ code: 'forbidden', message: 'go away' })
  })
})
