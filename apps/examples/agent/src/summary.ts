import type { PageState } from './page-state.ts'
import { textStep, type Step } from './step.ts'

const heading = '## In Short'
/** The agent writes as people do: a few words at a time. */
const wordsPerStep = 2

/** Writes the next words of the closing summary, or brings one that is out of date up to date, from left to right. */
export function writeSummary(state: PageState): Step | undefined {
  const { before, words, after } = splitAtSummary(state.text)
  if (before.trim() === '') return undefined
  const wanted = summaryOf(before + after, state).split(' ')
  const same = wanted.findIndex((word, at) => word !== words[at])
  if (same < 0 && wanted.length === words.length) return undefined
  const written =
    same < 0
      ? wanted
      : [...wanted.slice(0, same + wordsPerStep), ...words.slice(same + wordsPerStep, wanted.length)]
  const gap = before.endsWith('\n\n') ? '' : before.endsWith('\n') ? '\n' : '\n\n'
  const text = `${before}${gap}${heading}\n\n${written.join(' ')}\n${after}`
  return textStep(state, text, 'Is writing the summary')
}

interface Parts {
  readonly before: string
  readonly words: readonly string[]
  readonly after: string
}

/** Cuts the summary out of a text that has one: its heading and the paragraph below. */
function splitAtSummary(text: string): Parts {
  const start = text.startsWith(`${heading}\n`) ? 0 : text.indexOf(`\n${heading}\n`) + 1
  if (start === 0 && !text.startsWith(`${heading}\n`)) return { before: text, words: [], after: '' }
  const body = text.slice(start + heading.length + 1)
  const paragraph = /^\n*([^\n#][^\n]*)?(\n|$)/.exec(body)
  const words = (paragraph?.[1] ?? '').split(' ').filter((word) => word !== '')
  return { before: text.slice(0, start), words, after: body.slice(paragraph?.[0].length ?? 0) }
}

/** One paragraph; never a line break, and no two blanks in a row, since it is compared word by word. */
function summaryOf(text: string, { tasks }: PageState): string {
  const prose = text.replace(/^- \[[ x]\]/gmu, '')
  const words = prose.match(/[\p{L}\p{N}][\p{L}\p{N}'’-]*/gu)?.length ?? 0
  const sections = text.match(/^#{1,6} +\S/gmu)?.length ?? 0
  const open = tasks.filter(({ done, title }) => !done && title !== '')
  const counted = `${count(words, 'word')} in ${count(sections, 'section')}; ${tasks.length - open.length} of ${count(tasks.length, 'task')} done.`
  const next = open[0]?.title.replace(/\s+/gu, ' ').trim()
  return next === undefined ? counted : `${counted} Next: ${next.replace(/[.!?]?$/, '.')}`
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}
