import * as Y from 'yjs'
import { element, make } from './element.ts'

/** The list of tasks, bound to the array `tasks` in the root map `state` of the document. */
export function bindTaskList(doc: Y.Doc): void {
  const state = doc.getMap('state')
  const list = element('tasks', HTMLUListElement)
  const form = element('new-task', HTMLFormElement)
  const title = element('new-task-title', HTMLInputElement)
  const count = element('tasks-count', HTMLSpanElement)
  const rows = new Map<Y.Map<unknown>, Row>()

  const render = (): void => {
    const tasks = tasksOf(state)
    const present = new Set(tasks)
    for (const [task, { item }] of rows) {
      if (present.has(task)) continue
      item.remove()
      rows.delete(task)
    }
    for (const [at, task] of tasks.entries()) {
      const row = rows.get(task) ?? createRow(state, task)
      rows.set(task, row)
      row.update()
      if (list.children[at] !== row.item) list.insertBefore(row.item, list.children[at] ?? null)
    }
    const done = tasks.filter((task) => task.get('done') === true).length
    count.textContent = tasks.length === 0 ? '' : `${done} of ${tasks.length} done`
  }
  state.observeDeep(render)
  render()

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const text = title.value.trim()
    const tasks = state.get('tasks')
    if (text === '' || !(tasks instanceof Y.Array)) return
    const task = new Y.Map<unknown>(
      Object.entries({ id: crypto.randomUUID().slice(0, 8), title: text, done: false }),
    )
    tasks.push([task])
    title.value = ''
  })
}

interface Row {
  readonly item: HTMLLIElement
  update(): void
}

function createRow(state: Y.Map<unknown>, task: Y.Map<unknown>): Row {
  const item = make('li', 'task')
  const label = make('label')
  const box = make('input')
  box.type = 'checkbox'
  const name = make('span', 'task-title')
  const remove = make('button', 'remove')
  remove.type = 'button'
  remove.append('×')
  label.append(box, name)
  item.append(label, remove)
  box.addEventListener('change', () => task.set('done', box.checked))
  remove.addEventListener('click', () => {
    const tasks = state.get('tasks')
    if (tasks instanceof Y.Array) tasks.delete(tasks.toArray().indexOf(task), 1)
  })
  return {
    item,
    update() {
      const title = task.get('title')
      const text = typeof title === 'string' ? title : ''
      if (name.textContent !== text) name.textContent = text
      box.checked = task.get('done') === true
      item.classList.toggle('done', box.checked)
      remove.setAttribute('aria-label', `Remove “${text}”`)
    },
  }
}

function tasksOf(state: Y.Map<unknown>): Y.Map<unknown>[] {
  const tasks = state.get('tasks')
  return tasks instanceof Y.Array ? tasks.toArray().filter((task) => task instanceof Y.Map) : []
}
