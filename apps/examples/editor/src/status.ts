import type { SaveState } from './connection.ts'
import { element } from './element.ts'

const words: Readonly<Record<SaveState, string>> = {
  connecting: 'Connecting',
  saved: 'Saved',
  saving: 'Saving',
  offline: 'Offline, keeps your edits',
  refused: 'The server refused this page',
}

/** Says whether what was typed is safe. */
export function showStatus(state: SaveState): void {
  element('status', HTMLDivElement).dataset['state'] = state
  element('status-text', HTMLSpanElement).textContent = words[state]
}
