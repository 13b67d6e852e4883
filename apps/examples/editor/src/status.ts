import type { SaveState } from './connection.ts'
import { element } from './element.ts'

const words: Readonly<Record<SaveState, string>> = {
  connecting: 'Connecting',
  saved: 'Saved',
  saving: 'Saving',
  offline: 'Offline, keeps your edits',
  'read-only': 'You may read, not write',
  refused: 'Ended by the server: reload to try again',
}

/** Saving usually takes a few milliseconds; a word that flickers at every key would be worse than none. */
const flickerMs = 400

/** Returns what shows whether the words typed here are safe. Screen readers hear of it only when that is news. */
export function bindStatus(): (state: SaveState) => void {
  const pill = element('status', HTMLDivElement)
  const text = element('status-text', HTMLSpanElement)
  const announcement = element('announcement', HTMLParagraphElement)
  let timer: ReturnType<typeof setTimeout> | undefined
  let wasNews = false
  return (state) => {
    pill.dataset['state'] = state
    clearTimeout(timer)
    const show = (): void => {
      text.textContent = words[state]
    }
    if (state === 'saving') timer = setTimeout(show, flickerMs)
    else show()
    const isNews = state !== 'saved' && state !== 'saving' && state !== 'connecting'
    if (isNews || (wasNews && state === 'saved')) {
      announcement.textContent = words[state]
      wasNews = isNews
    }
  }
}
