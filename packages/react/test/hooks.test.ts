import { page } from './support/dom.ts'
import { openDocument, type JsonValue, type PolyphonyDocument } from '@polyphony/client'
import { createPolyphonyServer, type PolyphonyServer } from '@polyphony/server'
import { MemoryStore } from '@polyphony/storage'
import { StrictMode, act, createElement, type FunctionComponent, type ReactNode } from 'react'
import { createRoot, hydrateRoot, type Root } from 'react-dom/client'
import { renderToString } from 'react-dom/server'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  PolyphonyProvider,
  useChange,
  useConnection,
  useOpenDocument,
  usePresence,
  useSaved,
  useStatus,
  useValue,
} from '../src/index.ts'

let server: PolyphonyServer
let container: HTMLElement
const roots: Root[] = []
const documents: PolyphonyDocument[] = []

beforeEach(async () => {
  server = await createPolyphonyServer({ store: new MemoryStore(), port: 0 })
  container = page.createElement('div')
})

afterEach(async () => {
  await act(async () => {
    for (const root of roots.splice(0)) root.unmount()
  })
  for (const document of documents.splice(0)) await document.close()
  await server.close(1_000)
})

function open(documentId = 'plan'): PolyphonyDocument {
  const document = openDocument({ url: server.url, documentId, store: 'memory' })
  documents.push(document)
  return document
}

async function render(element: ReactNode, strict = false): Promise<Root> {
  const root = createRoot(container)
  roots.push(root)
  await act(async () => root.render(strict ? createElement(StrictMode, null, element) : element))
  return root
}

const within = (document: PolyphonyDocument | undefined, ...children: ReactNode[]): ReactNode =>
  createElement(PolyphonyProvider, { document }, ...children)

/** Waits for what comes from outside of React, when it comes. */
async function eventually(check: () => void): Promise<void> {
  Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: false })
  try {
    await vi.waitFor(check, { timeout: 5_000 })
  } finally {
    Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true })
  }
}

/** A component that shows what a hook gives, and counts its renders. */
function probe<T>(use: () => T): { component: FunctionComponent; values: T[] } {
  const values: T[] = []
  return {
    values,
    component: () => {
      const value = use()
      values.push(value)
      return createElement('output', null, JSON.stringify(value) ?? 'nothing')
    },
  }
}

const set = (path: string, value: JsonValue) => [{ op: 'add', path, value }] as const

describe('useValue', () => {
  it('renders again only what shows a part that has changed', async () => {
    const document = open()
    document.change([...set('/a', { n: 1 }), ...set('/b', 1)])
    const a = probe(() => useValue('/a'))
    const b = probe(() => useValue('/b'))
    const none = probe(() => useValue('/c/d'))
    await render(
      within(
        document,
        createElement(a.component, { key: 1 }),
        createElement(b.component, { key: 2 }),
        createElement(none.component, { key: 3 }),
      ),
    )
    await act(async () => document.change(set('/b', 2)))
    await act(async () => document.change(set('/other', 2)))
    expect(a.values).toEqual([{ n: 1 }])
    expect(b.values).toEqual([1, 2])
    expect(none.values).toEqual([undefined])
    expect(container.textContent).toBe('{"n":1}2nothing')
  })

  it('selects, with an equality of its own, and keeps what is equal', async () => {
    const document = open()
    document.change(set('/items', [{ done: true }, { done: false }]))
    interface State {
      readonly items: readonly { readonly done: boolean }[]
    }
    const open_ = probe(() =>
      useValue(
        (state: State) => state.items.filter(({ done }) => !done).length,
        (x, y) => x === y,
      ),
    )
    const list = probe(() =>
      useValue(
        (state: State) => state.items.map(({ done }) => done),
        (x, y) => x.join() === y.join(),
      ),
    )
    await render(
      within(document, createElement(open_.component, { key: 1 }), createElement(list.component, { key: 2 })),
    )
    await act(async () => document.change(set('/title', 'x')))
    expect(open_.values).toEqual([1])
    expect(list.values).toHaveLength(1)
    await act(async () => document.change(set('/items/1/done', true)))
    expect(open_.values).toEqual([1, 0])
    expect(list.values).toEqual([
      [true, false],
      [true, true],
    ])
  })

  it('follows changes of others', async () => {
    const [ada, bob] = [open(), open()]
    const title = probe(() => useValue('/title'))
    await render(within(ada, createElement(title.component)))
    bob.change(set('/title', 'from Bob'))
    await eventually(() => expect(container.textContent).toBe('"from Bob"'))
  })

  it('changes with its pointer and with the document', async () => {
    const [one, two] = [open('one'), open('two')]
    one.change([...set('/a', 1), ...set('/b', 2)])
    two.change(set('/a', 3))
    const Show = ({ pointer }: { readonly pointer: string }) => JSON.stringify(useValue(pointer))
    const root = await render(within(one, createElement(Show, { pointer: '/a' })))
    expect(container.textContent).toBe('1')
    await act(async () => root.render(within(one, createElement(Show, { pointer: '/b' }))))
    expect(container.textContent).toBe('2')
    await act(async () => root.render(within(two, createElement(Show, { pointer: '/a' }))))
    expect(container.textContent).toBe('3')
  })
})

describe('the other hooks', () => {
  it('change, and say when it is saved', async () => {
    const document = open()
    const changes = new Set<unknown>()
    const Title = () => {
      const change = useChange()
      changes.add(change)
      const { saved } = useSaved()
      return createElement(
        'button',
        { onClick: () => change(set('/title', 'x')) },
        `${JSON.stringify(useValue('')) ?? ''} ${saved ? 'saved' : 'not saved'} ${useConnection()}`,
      )
    }
    await render(within(document, createElement(Title)), true)
    await eventually(() => expect(container.textContent).toBe('{} saved online'))
    await act(async () => container.querySelector('button')?.click())
    expect(container.textContent).toBe('{"title":"x"} not saved online')
    await eventually(() => expect(container.textContent).toBe('{"title":"x"} saved online'))
    expect(changes.size).toBe(1)
  })

  it('render for the status only what they show of it', async () => {
    const document = open()
    await document.whenOnline()
    const connection = probe(useConnection)
    const saved = probe(useSaved)
    const status = probe(useStatus)
    await render(
      within(
        document,
        createElement(connection.component, { key: 1 }),
        createElement(saved.component, { key: 2 }),
        createElement(status.component, { key: 3 }),
      ),
    )
    await act(async () => {
      document.change(set('/a', 1))
      await document.whenSaved()
    })
    await act(async () => document.disconnect())
    expect(connection.values).toEqual(['online', 'offline'])
    expect(saved.values.at(-1)).toEqual({ saved: true, savedLocally: false, pending: 0 })
    const count = saved.values.length
    await act(async () => document.connect())
    expect(saved.values).toHaveLength(count)
    expect(status.values.length).toBeGreaterThan(count)
  })

  it('show who is here', async () => {
    const [ada, bob] = [open(), open()]
    const Here = () => {
      const { clients, set: say } = usePresence()
      const names = clients.map(({ state, isSelf }) => `${String(state['name'])}${isSelf ? '!' : ''}`)
      return createElement('button', { onClick: () => say({ name: 'Ada' }) }, names.toSorted().join())
    }
    await render(within(ada, createElement(Here)))
    bob.presence.set({ name: 'Bob' })
    await act(async () => container.querySelector('button')?.click())
    await eventually(() => expect(container.textContent).toBe('Ada!,Bob'))
  })

  it('open a document, in strict mode too, and close it', async () => {
    const seen: (PolyphonyDocument | undefined)[] = []
    const App = ({ documentId }: { readonly documentId: string }) => {
      const document = useOpenDocument({ url: server.url, documentId, store: 'memory' })
      seen.push(document)
      return within(document, createElement(Show))
    }
    const Show = () => `${useConnection()} ${JSON.stringify(useValue(''))}`
    const writer = open()
    writer.change(set('/a', 1))
    await writer.whenSaved()
    const root = await render(createElement(App, { documentId: 'plan' }), true)
    await eventually(() => expect(container.textContent).toBe('online {"a":1}'))
    await act(async () =>
      root.render(createElement(StrictMode, null, createElement(App, { documentId: 'b' }))),
    )
    await eventually(() => expect(container.textContent).toBe('online {}'))
    await act(async () => root.unmount())
    roots.splice(roots.indexOf(root), 1)
    for (const document of seen) expect(document?.doc.isDestroyed ?? true).toBe(true)
  })

  it('render on a server, and take over there in the browser', async () => {
    const Show = () => `${useConnection()} ${JSON.stringify(useValue('/a'))} ${String(useSaved().saved)}`
    const App = ({ document }: { readonly document?: PolyphonyDocument }) =>
      createElement(PolyphonyProvider, { document, initialValue: { a: 1 } }, createElement(Show))
    const html = renderToString(createElement(App))
    expect(html).toBe('offline 1 false')
    container.innerHTML = html
    const document = open()
    document.change(set('/a', 2))
    await document.whenSaved()
    const complaints: unknown[] = []
    await act(async () => {
      roots.push(
        hydrateRoot(container, createElement(App, { document }), {
          onRecoverableError: (error) => complaints.push(error),
        }),
      )
    })
    expect(container.textContent).toBe('online 2 true')
    expect(complaints).toEqual([])
  })

  it('say so when there is no provider', async () => {
    expect(() => renderToString(createElement(useConnection))).toThrow(/PolyphonyProvider/)
  })
})
