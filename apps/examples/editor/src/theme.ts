import { element } from './element.ts'

/** Follows the system until somebody chooses; the choice is kept in this browser. */
export function bindTheme(storage: Storage): void {
  const key = 'polyphony.theme'
  const root = document.documentElement
  const system = matchMedia('(prefers-color-scheme: dark)')
  const kept = storage.getItem(key)
  if (kept === 'light' || kept === 'dark') root.dataset['theme'] = kept
  element('theme', HTMLButtonElement).addEventListener('click', () => {
    const isDark = (root.dataset['theme'] ?? (system.matches ? 'dark' : 'light')) === 'dark'
    root.dataset['theme'] = isDark ? 'light' : 'dark'
    storage.setItem(key, root.dataset['theme'])
  })
}
