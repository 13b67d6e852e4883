import type { Awareness } from 'y-protocols/awareness'
import { element, make } from './element.ts'

const shownMax = 5

/** Shows who is here, oneself last, and the agent while it works. */
export function bindPeople(awareness: Awareness, isAgentWorking: () => boolean): () => void {
  const list = element('people', HTMLUListElement)
  const render = (): void => {
    const others = [...awareness.states].filter(([client]) => client !== awareness.clientID)
    const own = [...awareness.states].filter(([client]) => client === awareness.clientID)
    const people = [...others.toSorted(([a], [b]) => a - b), ...own].flatMap(([client, state]) => {
      const user: unknown = state['user']
      if (typeof user !== 'object' || user === null || !('name' in user) || !('color' in user)) return []
      const name = String(user.name).slice(0, 40)
      return [{ name: client === awareness.clientID ? `${name} (you)` : name, color: String(user.color) }]
    })
    const hidden = people.length - shownMax
    const items = people.slice(-shownMax).map(({ name, color }) => avatar(name, initials(name), color))
    if (hidden > 0)
      items.unshift(avatar(`${hidden} more ${hidden === 1 ? 'person' : 'people'}`, `+${hidden}`))
    if (isAgentWorking()) items.unshift(avatar('The agent', '✦', 'var(--agent-strong)'))
    list.replaceChildren(...items)
  }
  awareness.on('change', render)
  render()
  return render
}

function avatar(name: string, text: string, color = 'var(--muted)'): HTMLLIElement {
  const item = make('li', 'avatar')
  const letters = make('span', '', text)
  letters.setAttribute('aria-hidden', 'true')
  item.title = name
  item.style.backgroundColor = color
  item.append(letters, make('span', 'visually-hidden', name))
  return item
}

function initials(name: string): string {
  return name
    .split(/\s+/u)
    .slice(0, 2)
    .map(([letter = '']) => letter.toUpperCase())
    .join('')
}
