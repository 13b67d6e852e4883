import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import * as Y from 'yjs'
import { messagesRoot, readConversation } from './conversation.ts'
import { ConversationMirror } from './conversation-mirror.ts'

const id = fc.constantFrom('a', 'b', 'c', 'd')
const at = fc.nat(7)
const steps = fc.oneof(
  fc.record({ type: fc.constant('add' as const), at, id }),
  fc.record({ type: fc.constant('add nonsense' as const), at }),
  fc.record({ type: fc.constant('remove' as const), at }),
  fc.record({ type: fc.constant('type' as const), at }),
  fc.record({ type: fc.constant('rename' as const), at, id }),
  fc.record({ type: fc.constant('spoil' as const), at }),
)

test('the mirror shows what the document has, and what did not change is the very same object', () => {
  const script = fc.array(fc.record({ edits: fc.array(steps, { maxLength: 3 }) }), { maxLength: 12 })
  fc.assert(
    fc.property(script, (flushes) => {
      const doc = new Y.Doc()
      const list = doc.getArray<unknown>(messagesRoot)
      const mirror = new ConversationMirror()
      for (const { edits } of flushes) {
        const before = new Map(mirror.read(doc).map((entry) => [JSON.stringify(entry), entry]))
        const isUnchanged = edits.length === 0
        const last = mirror.read(doc)
        for (const edit of edits) {
          const item: unknown = list.get(edit.at)
          if (edit.type === 'add') list.insert(Math.min(edit.at, list.length), [messageOf(edit.id)])
          else if (edit.type === 'add nonsense') list.insert(Math.min(edit.at, list.length), [1])
          else if (edit.type === 'remove' && edit.at < list.length) list.delete(edit.at)
          else if (!(item instanceof Y.Map)) continue
          else if (edit.type === 'type') (item.get('content') as Y.Text).insert(0, 'x')
          else if (edit.type === 'rename') item.set('id', edit.id)
          else if (edit.type === 'spoil') item.set('role', 'nobody')
        }
        const now = mirror.read(doc)
        expect(now).toEqual(readConversation(doc))
        if (isUnchanged) expect(now).toBe(last)
        const touched = new Set(edits.map((edit) => edit.type))
        if (touched.size === 1 && touched.has('type'))
          expect(
            now.filter((entry) => before.get(JSON.stringify(entry)) === entry).length,
          ).toBeGreaterThanOrEqual(now.length - edits.length)
      }
    }),
    { seed: 5, numRuns: 300 },
  )
})

function messageOf(id: string): Y.Map<unknown> {
  return new Y.Map<unknown>([
    ['id', id],
    ['role', 'user'],
    ['content', new Y.Text('')],
  ])
}
