import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { documentId, emptyGreenhouse, type Alert, type Greenhouse } from '../greenhouse.ts'
import { renderBeds } from './beds.ts'
import { byId, make } from './element.ts'
import { bindTalk } from './talk.ts'

const doc = new Y.Doc()
const state = doc.getMap<unknown>('state')
const provider = new WebsocketProvider(`${location.origin.replace(/^http/, 'ws')}/sync`, documentId, doc)
const limit = byId('limit', HTMLInputElement)

function greenhouse(): Greenhouse {
  return { ...emptyGreenhouse, ...(state.toJSON() as Partial<Greenhouse>) }
}

function render(): void {
  const now = greenhouse()
  renderBeds(byId('beds', HTMLElement), now)
  if (document.activeElement !== limit) limit.value = String(now.limit)
  byId('limit-value', HTMLOutputElement).textContent = `${now.limit.toFixed(1)} °C`
  byId('alert-count', HTMLElement).textContent = String(now.alerts.length)
  const none = make('li', 'empty', 'All is well.')
  byId('alerts', HTMLUListElement).replaceChildren(
    ...(now.alerts.length > 0 ? now.alerts.map(alertItem) : [none]),
  )
}

function alertItem({ id, text, seen }: Alert): HTMLElement {
  const item = make('li', '')
  const label = make('label', seen ? 'seen' : '')
  const box = document.createElement('input')
  box.type = 'checkbox'
  box.checked = seen
  box.addEventListener('change', () => {
    const alerts = state.get('alerts')
    if (!(alerts instanceof Y.Array)) return
    // By what it is, not by where it stands: the warden adds and removes alerts all the time.
    for (const alert of alerts)
      if (alert instanceof Y.Map && alert.get('id') === id) alert.set('seen', box.checked)
  })
  label.append(box, make('span', '', text))
  item.append(label)
  return item
}

function renderPeople(): void {
  const people = [...provider.awareness.getStates()].flatMap(([client, { name }]) =>
    typeof name === 'string' ? [{ client, name }] : [],
  )
  byId('people', HTMLUListElement).replaceChildren(
    ...people.map(({ client, name }) => {
      const person = make('li', '', name.slice(0, 1))
      person.title = name
      person.style.setProperty('background', `hsl(${(client * 47) % 360} 45% 42%)`)
      return person
    }),
  )
}

const names = ['Ada', 'Ben', 'Cleo', 'Dov', 'Eva', 'Finn', 'Gia', 'Hugo']
provider.awareness.setLocalState({ name: names[doc.clientID % names.length] })
provider.awareness.on('change', renderPeople)
provider.on('status', ({ status }: { status: string }) => {
  const shown = byId('status', HTMLParagraphElement)
  shown.dataset['state'] = status
  shown.textContent = status === 'connected' ? 'Live' : 'Connecting'
})
limit.addEventListener('input', () => state.set('limit', Number(limit.value)))
state.observeDeep(render)
bindTalk(doc)
render()
renderPeople()
