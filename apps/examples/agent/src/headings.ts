import type { PageState } from './page-state.ts'
import { textStep, type Step } from './step.ts'

const smallWords = new Set(
  'a an and as at but by for from in into nor of off on or over per so than the to up via with yet'.split(
    ' ',
  ),
)

/** Gives the first Markdown heading that lacks them its capitals. Headings without a line below may not be finished. */
export function capitaliseHeading(state: PageState): Step | undefined {
  for (const { 0: line, 1: marks = '', 2: title = '', index } of state.text.matchAll(
    /^(#{1,6} +)(\S.*)(?=\n)/gmu,
  )) {
    const capitalised = titleCase(title)
    if (capitalised === title) continue
    const text = state.text.slice(0, index) + marks + capitalised + state.text.slice(index + line.length)
    return textStep(state, text, `Gave “${capitalised.trim()}” its capitals`)
  }
  return undefined
}

/** Words that already have a capital somewhere, or a digit, are names and stay as they are. */
export function titleCase(title: string): string {
  const words = title.split(' ')
  return words
    .map((word, at) => {
      if (!/^\p{Ll}[\p{Ll}'’.,:;!?-]*$/u.test(word)) return word
      const isInside = at > 0 && at < words.length - 1
      if (isInside && smallWords.has(word)) return word
      return word.replace(/^./u, (letter) => letter.toUpperCase())
    })
    .join(' ')
}
