import { IdSet } from '@polyphony/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Version, advance, compareVersions, equals, parseVersion } from './version.ts'

const ids = fc
  .array(
    fc.tuple(fc.integer({ min: 0, max: 2 ** 32 }), fc.nat(1_000_000), fc.integer({ min: 1, max: 300 })),
    {
      maxLength: 20,
    },
  )
  .map((ranges) => {
    const set = new IdSet()
    for (const [client, clock, length] of ranges) set.add(client, clock, length)
    return set
  })
const versions = fc
  .record({ revision: fc.nat(), inserted: ids, deleted: ids })
  .map(({ revision, inserted, deleted }) => new Version(revision, { inserted, deleted }))

describe('versions', () => {
  it('go to text and back', () => {
    fc.assert(
      fc.property(versions, (version) => {
        const text = version.toString()
        expect(text).toMatch(/^\d+(~[\w-]+)?$/)
        const again = parseVersion(text)
        expect(equals(again, version)).toBe(true)
        expect([...again.own.inserted.entries()]).toEqual(
          expect.arrayContaining([...version.own.inserted.entries()]),
        )
        expect(again.toString()).toBe(text)
      }),
      { seed: 1, numRuns: 300 },
    )
  })

  it.each(['', 'x', '-1', '01', '1.0', '1~', '1~!', '1~AA', '1~AAAAAA', '99999999999999999', '1~_____w'])(
    '"%s" is refused',
    (text) => {
      expect(() => parseVersion(text)).toThrow(expect.objectContaining({ code: 'invalid-token' }))
    },
  )

  it('damaged text is refused or another version, but never crashes', () => {
    fc.assert(
      fc.property(
        versions,
        fc.nat(),
        fc.constantFrom('A', 'Z', 'a', 'z', '0', '9', '-', '_', '~'),
        (version, at, character) => {
          const text = version.toString()
          const damaged = text.slice(0, at % text.length) + character + text.slice((at % text.length) + 1)
          try {
            parseVersion(damaged)
          } catch (error) {
            expect(error).toMatchObject({ code: 'invalid-token' })
          }
        },
      ),
      { seed: 2, numRuns: 500 },
    )
  })

  it('more own ranges than the limit are not portable', () => {
    const inserted = new IdSet()
    for (let i = 0; i <= Version.ownRangesMax; i++) inserted.add(1, i * 2, 1)
    const version = new Version(1, { inserted, deleted: new IdSet() })
    expect(version.isPortable).toBe(false)
    expect(() => parseVersion(version.toString())).toThrow(expect.objectContaining({ code: 'invalid-token' }))
  })

  it('advance takes the later revision and all own edits', () => {
    const inserted = new IdSet()
    inserted.add(5, 10, 3)
    const mine = new Version(4, { inserted, deleted: new IdSet() })
    const advanced = advance(mine, new Version(9))
    expect(advanced.revision).toBe(9)
    expect(advanced.own.inserted.covers(5, 10, 3)).toBe(true)
    expect(advance(new Version(2), new Version(9)).hasOwn).toBe(false)
    expect(compareVersions(mine, advanced)).toBeLessThan(0)
  })
})
