import { useChange, useValue } from '@polyphony/react'
import { useState, type FormEvent, type ReactNode } from 'react'

/**
 * An item is a member of the root, under an id of its own: whoever adds one, offline or not, makes nothing that somebody
 * else could be making at the same time.
 */
export interface Item {
  readonly title: string
  readonly done: boolean
  readonly addedAtMs: number
}

/** The items, oldest first. */
export function PackingList(): ReactNode {
  // The ids only: an item that changes renders itself, and nothing else.
  const ids = useValue(sortedIds, isSameList)
  const open = useValue(countOpen)
  return (
    <section className="list">
      <ul id="items">
        {ids.map((id) => (
          <ListItem key={id} id={id} />
        ))}
      </ul>
      {ids.length === 0 && <p className="empty">Nothing to pack yet. Add the first thing.</p>}
      <AddItem />
      <p className="total">
        {ids.length === 0 ? '' : open === 0 ? 'All packed.' : `${open} of ${ids.length} to pack`}
      </p>
    </section>
  )
}

function ListItem({ id }: { readonly id: string }): ReactNode {
  const item = useValue((state: Items) => state[id])
  const change = useChange()
  if (item === undefined) return null
  return (
    <li data-done={item.done}>
      <label>
        <input
          type="checkbox"
          checked={item.done}
          onChange={() => change([{ op: 'replace', path: `/${id}/done`, value: !item.done }])}
        />
        <span>{item.title}</span>
      </label>
      <button
        type="button"
        className="remove"
        aria-label={`Remove ${item.title}`}
        onClick={() => change([{ op: 'remove', path: `/${id}` }])}
      >
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <path d="m4 4 8 8M12 4l-8 8" />
        </svg>
      </button>
    </li>
  )
}

function AddItem(): ReactNode {
  const change = useChange()
  const [title, setTitle] = useState('')
  const add = (event: FormEvent): void => {
    event.preventDefault()
    const value = { title: title.trim(), done: false, addedAtMs: Date.now() }
    if (value.title === '') return
    change([{ op: 'add', path: `/${crypto.randomUUID()}`, value }])
    setTitle('')
  }
  return (
    <form onSubmit={add}>
      <input
        id="new-item"
        aria-label="Something to pack"
        placeholder="Something to pack"
        autoComplete="off"
        value={title}
        onChange={({ target }) => setTitle(target.value)}
      />
      <button type="submit">Add</button>
    </form>
  )
}

type Items = Readonly<Record<string, Item>>

function sortedIds(items: Items): readonly string[] {
  return Object.entries(items)
    .toSorted(([idA, a], [idB, b]) => a.addedAtMs - b.addedAtMs || (idA < idB ? -1 : 1))
    .map(([id]) => id)
}

function countOpen(items: Items): number {
  return Object.values(items).filter(({ done }) => !done).length
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((id, index) => id === b[index])
}
