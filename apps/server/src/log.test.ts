import { Writable } from 'node:stream'
import { expect, it } from 'vitest'
import { createLog } from './log.ts'

it('writes JSON lines without tokens and secrets', () => {
  const lines: string[] = []
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString())
      done()
    },
  })
  const log = createLog('info', sink)
  log.info(
    {
      url: '/sync/a?token=hush1&x=1#',
      token: 'hush2',
      headers: { authorization: 'Bearer hush3', cookie: 'hush4', host: 'h' },
      request: { headers: { authorization: 'hush5' } },
      authSecret: 'hush6',
    },
    'asked',
  )
  log.debug({}, 'not shown')
  expect(lines).toHaveLength(1)
  expect(lines[0]).not.toContain('hush')
  const { time, ...rest } = JSON.parse(lines[0] ?? '') as Record<string, unknown>
  expect(rest).toMatchObject({ level: 'info', msg: 'asked', url: '/sync/a?token=[redacted]&x=1#' })
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT/)
})

it('says of errors what they are, where they come from, and what caused them', () => {
  const lines: string[] = []
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString())
      done()
    },
  })
  const log = createLog('info', sink)
  log.error({ error: new TypeError('broken', { cause: new Error('the disk') }) }, 'crashed')
  log.warn({ error: 'only words' }, 'odd')
  const [crashed, odd] = lines.map((line) => JSON.parse(line) as { error: unknown })
  expect(crashed?.error).toMatchObject({
    type: 'TypeError',
    message: 'broken',
    stack: expect.stringContaining('log.test.ts') as unknown,
    cause: { message: 'the disk' },
  })
  expect(odd?.error).toBe('only words')
})
