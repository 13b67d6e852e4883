import type { PageState, Task } from './page-state.ts'
import type { Step } from './step.ts'

// A line counts only once it is ended: before, somebody may still be writing it.
const calls = /^(TODO|DONE):[ \t]+(\S.*)(?=\n)/gmu
const boxes = /^- \[([ x])\][ \t]+(\S.*)(?=\n)/gmu

/** Turns the first `TODO: …` or `DONE: …` line into a checklist item, and into a task. */
export function takeUpCall(state: PageState): Step | undefined {
  const [call] = state.text.matchAll(calls)
  if (call === undefined) return undefined
  const { 0: line, 1: word, 2: rest = '', index } = call
  const title = rest.trim()
  const done = word === 'DONE'
  const text =
    state.text.slice(0, index) + `- [${done ? 'x' : ' '}] ${title}` + state.text.slice(index + line.length)
  const at = state.tasks.findIndex((task) => task.title === title)
  const write = { op: 'replace', path: '/text', value: text } as const
  const known = state.tasks[at]
  if (known !== undefined) {
    const task: Task = { ...known, done: done || known.done, inText: done }
    return {
      note: done ? `Ticked “${title}”` : `Found the task “${title}” again`,
      patch: [write, ...taskOperations(at, known, task)],
      next: { ...state, text, tasks: state.tasks.with(at, task) },
    }
  }
  const task: Task = { id: taskId(title, state.tasks), title, done, inText: done }
  return {
    note: `Made a task of “${title}”`,
    patch: [write, { op: 'add', path: '/tasks/-', value: task }],
    next: { ...state, text, tasks: [...state.tasks, task] },
  }
}

/**
 * Brings the first box that differs from its task in line with it. Whichever of the two has changed since the agent last
 * looked (`inText`) wins: a merge with a common ancestor, in miniature.
 */
export function reconcileBox(state: PageState): Step | undefined {
  const taken = new Set<number>()
  for (const { 0: line, 1: box, 2: rest = '', index } of state.text.matchAll(boxes)) {
    const ticked = box === 'x'
    const at = state.tasks.findIndex((task, i) => !taken.has(i) && task.title === rest.trim())
    const task = state.tasks[at]
    if (task === undefined) continue
    taken.add(at)
    const before = task.inText ?? ticked
    if (ticked !== before || task.inText === undefined) {
      const next: Task = {
        ...task,
        done: task.inText === undefined ? task.done || ticked : ticked,
        inText: ticked,
      }
      return {
        note: ticked ? `Ticked “${task.title}”` : `Looked at “${task.title}”`,
        patch: taskOperations(at, task, next),
        next: { ...state, tasks: state.tasks.with(at, next) },
      }
    }
    if (task.done === ticked) continue
    const next: Task = { ...task, inText: task.done }
    const text = `${state.text.slice(0, index)}${line.replace(/\[[ x]\]/, task.done ? '[x]' : '[ ]')}${state.text.slice(index + line.length)}`
    return {
      note: `${task.done ? 'Ticked' : 'Opened'} “${task.title}” in the text`,
      patch: [{ op: 'replace', path: '/text', value: text }, ...taskOperations(at, task, next)],
      next: { ...state, text, tasks: state.tasks.with(at, next) },
    }
  }
  return undefined
}

/** Follows an item that somebody wrote on: its task, which no line stands for any more, gets the longer or shorter name. */
export function renameTask(state: PageState): Step | undefined {
  const titles = new Set<string>()
  for (const [, , rest = ''] of state.text.matchAll(boxes)) titles.add(rest.trim())
  const named = new Set(state.tasks.map((task) => task.title))
  for (const title of titles) {
    if (named.has(title)) continue
    const at = state.tasks.findIndex(
      (task) => task.inText !== undefined && !titles.has(task.title) && isWrittenOn(task.title, title),
    )
    const task = state.tasks[at]
    if (task === undefined) continue
    return {
      note: `Renamed a task to “${title}”`,
      patch: [{ op: 'replace', path: `/tasks/${at}/title`, value: title }],
      next: { ...state, tasks: state.tasks.with(at, { ...task, title }) },
    }
  }
  return undefined
}

function isWrittenOn(from: string, to: string): boolean {
  return from !== '' && (to.startsWith(from) || from.startsWith(to))
}

/** Only the members that differ, so that what people change in the same task meanwhile stays theirs. */
function taskOperations(at: number, from: Task, to: Task): Step['patch'] {
  const members = ['done', 'inText'] as const
  return members
    .filter((member) => from[member] !== to[member])
    .map((member) => ({ op: 'add', path: `/tasks/${at}/${member}`, value: to[member] }))
}

/** Readable, and the same for the same title, so that logs and patches explain themselves. */
function taskId(title: string, tasks: readonly Task[]): string {
  const base =
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, '-')
      .replace(/^-|-$/g, '')
      .slice(0, 40) || 'task'
  const ids = new Set(tasks.map(({ id }) => id))
  let id = base
  for (let n = 2; ids.has(id); n++) id = `${base}-${n}`
  return id
}
