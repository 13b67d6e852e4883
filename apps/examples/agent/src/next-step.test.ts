import fc from 'fast-check'
import fastJsonPatch from 'fast-json-patch'
import { describe, expect, it } from 'vitest'
import { nextStep } from './next-step.ts'
import { emptyPage, readPageState, type PageState } from './page-state.ts'

function finish(state: PageState): PageState {
  let at = state
  for (let steps = 0; steps < 500; steps++) {
    const step = nextStep(at)
    if (step === undefined) return at
    at = step.next
  }
  throw new Error(`No end in sight: ${JSON.stringify(at)}`)
}

const page = (text: string, tasks: PageState['tasks'] = []): PageState => ({ ...emptyPage, text, tasks })

describe('nextStep', () => {
  it('corrects, capitalises, takes up calls and sums up', () => {
    const done = finish(
      page('# notes from the meeting\n\nWe recieved teh plan.\nTODO: Book a room\nDONE: Read it\n'),
    )
    expect(done.text).toBe(
      '# Notes from the Meeting\n\nWe received the plan.\n- [ ] Book a room\n- [x] Read it\n\n' +
        '## In Short\n\n13 words in 1 section; 1 of 2 tasks done. Next: Book a room.\n',
    )
    expect(done.tasks).toEqual([
      { id: 'book-a-room', title: 'Book a room', done: false, inText: false },
      { id: 'read-it', title: 'Read it', done: true, inText: true },
    ])
  })

  it('leaves words, headings and calls alone while somebody may be in the middle of them', () => {
    for (const text of ['I saw teh', '# the plan', 'TODO: Buy mi'])
      expect(nextStep(page(text))?.note ?? '').not.toMatch(/Corrected|capitals|task/)
  })

  it('keeps box and task in step, whichever of the two changed', () => {
    const first = finish(page('TODO: Book a room\n'))
    const tickedInText = finish({ ...first, text: first.text.replace('[ ]', '[x]') })
    expect(tickedInText.tasks[0]?.done).toBe(true)
    const [task] = tickedInText.tasks
    const openedInList = finish({ ...tickedInText, tasks: [{ ...task!, done: false }] })
    expect(openedInList.text).toContain('- [ ] Book a room')
    const tickedInList = finish({ ...first, tasks: [{ ...task!, done: true, inText: false }] })
    expect(tickedInList.text).toContain('- [x] Book a room')
  })

  it('follows an item that somebody wrote on', () => {
    const first = finish(page('TODO: Buy mi\n'))
    const then = finish({ ...first, text: first.text.replace('Buy mi\n', 'Buy milk\n') })
    expect(then.tasks.map(({ title }) => title)).toEqual(['Buy milk'])
  })

  it('comes to rest on any state, and each patch leads exactly to the state that its step promises', () => {
    const line = fc.oneof(
      fc.constantFrom(
        '',
        '# the title',
        '## In Short',
        '- [ ] a',
        '- [x] b c',
        'TODO: a',
        'DONE: b c',
        'teh',
      ),
      fc.constantFrom(
        'TODO:  a ',
        'Teh recieve, alot.',
        '- [ ] a ',
        '#',
        '## in short',
        '3 words in 1 section;',
      ),
      fc.string({ unit: 'grapheme', maxLength: 12 }),
    )
    const task = fc.record(
      {
        id: fc.constantFrom('a', 'b'),
        title: fc.constantFrom('a', 'b c', '', ' x  y '),
        done: fc.boolean(),
        inText: fc.boolean(),
      },
      { requiredKeys: ['id', 'title', 'done'] },
    )
    const world = fc.record({
      text: fc
        .tuple(fc.array(line, { maxLength: 12 }), fc.boolean())
        .map(([lines, ended]) => lines.join('\n') + (ended ? '\n' : '')),
      tasks: fc.array(task, { maxLength: 4 }),
    })
    let changed = 0
    fc.assert(
      fc.property(world, ({ text, tasks }) => {
        let state = page(text, tasks)
        for (let step = nextStep(state); step !== undefined; step = nextStep(state)) {
          const patched = fastJsonPatch.applyPatch(structuredClone(state), [...step.patch], true).newDocument
          expect(readPageState(patched)).toEqual(step.next)
          expect(step.next).not.toEqual(state)
          state = step.next
          changed += 1
        }
        expect(finish(page(text, tasks))).toEqual(state)
      }),
      { seed: 20261124, numRuns: 1000 },
    )
    expect(changed).toBeGreaterThan(5000)
  })

  it('takes whatever JSON there is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        finish(readPageState(json))
        finish(readPageState({ text: '# a\n', tasks: json, agent: json }))
      }),
      { seed: 20261124, numRuns: 500 },
    )
  })
})
