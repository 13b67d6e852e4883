import { advance, JsonView, seed, type JsonPatch } from '@polyphony/translator'
import jsonpatch from 'fast-json-patch'
import * as Y from 'yjs'

/**
 * A person types into a Yjs document while an agent, which only knows JSON, works from what it saw a moment ago.
 * Says line by line what happens.
 */
export function tellStory(say: (line: string) => void): void {
  const doc = new Y.Doc({ gc: false })
  // `/notes` is a text that people type into; everything else is plain JSON.
  const view = new JsonView(doc, { texts: { '/notes': 'string' } })
  Y.applyUpdate(
    doc,
    seed(
      {
        notes: 'Buy paint.',
        tasks: [
          { id: 'a', title: 'Sand' },
          { id: 'b', title: 'Paint' },
        ],
      },
      { texts: { '/notes': 'string' } },
    ),
  )
  const state = doc.getMap('state')
  const tasks = state.get('tasks') as Y.Array<Y.Map<unknown>>
  const notes = state.get('notes') as Y.Text

  say('1. An agent reads the state and notes the version.')
  const seen = view.version
  let mirror = view.read({ at: seen })
  say(`   ${JSON.stringify(mirror)}`)

  say('2. While it thinks, a person puts a task in front, renames one, and types.')
  tasks.insert(0, [
    new Y.Map([
      ['id', 'c'],
      ['title', 'Buy brushes'],
    ]),
  ])
  tasks.get(2).set('title', 'Paint twice')
  notes.insert(4, 'green ')
  const delta = view.diff(seen)
  for (const operation of delta) say(`   ${JSON.stringify(operation)}`)

  say('3. Any RFC 6902 library brings an old copy up to date with exactly that.')
  mirror = jsonpatch.applyPatch(
    mirror,
    jsonpatch.deepClone(delta) as jsonpatch.Operation[],
    true,
    false,
  ).newDocument
  say(`   equal: ${JSON.stringify(mirror) === JSON.stringify(view.read())}`)

  say('4. The patch of the agent arrives. Its /tasks/1 is "Paint", which is /tasks/2 by now.')
  const patch: JsonPatch = [
    { op: 'add', path: '/tasks/1/done', value: true },
    { op: 'replace', path: '/notes', value: 'Buy paint and tape.' },
  ]
  const first = view.apply(patch, { at: seen })
  say(`   applied ${first.applied} of ${patch.length}, conflicts ${first.conflicts.length}`)
  say(`   ${JSON.stringify(view.read())}`)

  say('5. It streams on from what it sees itself, without having heard of the person.')
  const second = view.apply([{ op: 'add', path: '/tasks/2', value: { id: 'd', title: 'Clean up' } }], {
    at: first.version,
  })
  say(`   the agent sees ${titles(view.read({ at: second.version, pointer: '/tasks' }))}`)
  say(`   the state has  ${titles(view.read({ pointer: '/tasks' }))}`)

  say('6. The person deletes "Sand"; the agent, still behind, renames it. That is a conflict, not a guess.')
  tasks.delete(1)
  const third = view.apply([{ op: 'replace', path: '/tasks/0/title', value: 'Sand carefully' }], {
    at: second.version,
  })
  for (const { path, reason } of third.conflicts) say(`   ${path}: ${reason}`)

  say('7. The agent catches up: one version, everything seen.')
  const now = advance(third.version, view.version)
  say(`   the agent sees ${titles(view.read({ at: now, pointer: '/tasks' }))}`)
  view.destroy()
}

function titles(tasks: unknown): string {
  return (tasks as { title: string }[]).map(({ title }) => title).join(', ')
}
