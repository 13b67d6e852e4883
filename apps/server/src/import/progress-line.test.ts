import { expect, it } from 'vitest'
import type { ImportTotals } from './import-run.ts'
import { formatBytes, ProgressLine } from './progress-line.ts'

const totals: ImportTotals = {
  documents: 2_000,
  seen: 1_000,
  bytes: 3 << 20,
  kinds: { imported: 1_000, merged: 0, present: 0, differs: 0, failed: 0 },
  fromJournal: 0,
  verified: 0,
}

function lineAt(isTTY: boolean) {
  const written: string[] = []
  const time = { ms: 0 }
  const clock = { now: () => time.ms, after: () => () => undefined }
  const line = new ProgressLine({ isTTY, write: (text: string) => written.push(text) }, clock)
  return { line, written, time }
}

it('writes over itself at a terminal, and gives way to messages', () => {
  const { line, written, time } = lineAt(true)
  line.update(totals)
  expect(written).toEqual([])
  time.ms = 1_000
  line.update(totals)
  line.update(totals)
  expect(written).toEqual(['\r\u001b[K1,000 of 2,000 documents, 3.0 MB (1,000 documents/s, 3.0 MB/s)'])
  line.interrupt('a: it is broken')
  line.interrupt('b: it is broken')
  line.end()
  expect(written.slice(1)).toEqual(['\r\u001b[Ka: it is broken\n', 'b: it is broken\n', ''])
})

it('writes a line now and then elsewhere', () => {
  const { line, written, time } = lineAt(false)
  for (; time.ms <= 25_000; time.ms += 100) line.update(totals)
  line.end()
  expect(written).toHaveLength(3)
  expect(written[0]).toMatch(/^1,000 of 2,000 documents, .+\n$/)
})

it('names sizes in the unit that fits', () => {
  expect([0, 1, 1023, 1024, 1536, 5 << 20, 2 ** 41].map(formatBytes)).toEqual([
    '0 B',
    '1 B',
    '1023 B',
    '1.0 KB',
    '1.5 KB',
    '5.0 MB',
    '2.0 TB',
  ])
})
