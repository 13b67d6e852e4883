/** How others see the person at this window. */
export interface Identity {
  readonly name: string
  readonly color: string
  readonly colorLight: string
}

const adjectives = [
  'Amber',
  'Brisk',
  'Calm',
  'Dapper',
  'Eager',
  'Gentle',
  'Merry',
  'Nimble',
  'Quiet',
  'Sunny',
]
const animals = ['Badger', 'Finch', 'Heron', 'Lynx', 'Marten', 'Otter', 'Plover', 'Robin', 'Stoat', 'Wren']
/** White text on each has a contrast of at least 4.5. Violet belongs to the agent. */
const colors = ['#b4233c', '#a84a0a', '#75600a', '#1f7a3d', '#0b7280', '#1f5fbf', '#ad2a80', '#5c6370']

/** A name and a colour of one's own; the same after a reload of this window, another one in every other window. */
export function identify(storage: Storage): Identity {
  const chosen =
    storage.getItem('polyphony.identity') ?? `${pick(adjectives)} ${pick(animals)} ${pick(colors)}`
  storage.setItem('polyphony.identity', chosen)
  const color = /#[\da-f]{6}$/.exec(chosen)?.[0] ?? '#5c6370'
  return { name: chosen.replace(/ #[\da-f]{6}$/, ''), color, colorLight: `${color}40` }
}

function pick(list: readonly string[]): string {
  return list[Math.floor(Math.random() * list.length)] ?? ''
}
