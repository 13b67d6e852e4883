import type { PageState } from './page-state.ts'
import { textStep, type Step } from './step.ts'

const corrections: Readonly<Record<string, string>> = {
  acheive: 'achieve',
  accross: 'across',
  adress: 'address',
  alot: 'a lot',
  becuase: 'because',
  beleive: 'believe',
  collegue: 'colleague',
  collegues: 'colleagues',
  commited: 'committed',
  definately: 'definitely',
  dont: "don't",
  enviroment: 'environment',
  existance: 'existence',
  freind: 'friend',
  goverment: 'government',
  happend: 'happened',
  immediatly: 'immediately',
  independant: 'independent',
  langauge: 'language',
  lenght: 'length',
  neccessary: 'necessary',
  occured: 'occurred',
  recieve: 'receive',
  recieved: 'received',
  recomend: 'recommend',
  seperate: 'separate',
  succesful: 'successful',
  taht: 'that',
  teh: 'the',
  thier: 'their',
  tommorow: 'tomorrow',
  untill: 'until',
  wich: 'which',
  wierd: 'weird',
  wont: "won't",
  writting: 'writing',
}

// A word counts only once something follows it: at the end of a line somebody may be in the middle of it.
const misspelt = new RegExp(String.raw`\b(${Object.keys(corrections).join('|')})(?=[ \t.,;:!?)])`, 'iu')

/** Corrects the first misspelt word that the agent knows. */
export function correctWord(state: PageState): Step | undefined {
  const found = misspelt.exec(state.text)
  if (found === null) return undefined
  const [wrong] = found
  const right = inCaseOf(wrong, corrections[wrong.toLowerCase()] ?? wrong)
  const text = state.text.slice(0, found.index) + right + state.text.slice(found.index + wrong.length)
  return textStep(state, text, `Corrected “${wrong}” to “${right}”`)
}

function inCaseOf(model: string, word: string): string {
  const [first = ''] = model
  if (first === first.toLowerCase()) return word
  return model === model.toUpperCase()
    ? word.toUpperCase()
    : word.replace(/^./u, (letter) => letter.toUpperCase())
}
