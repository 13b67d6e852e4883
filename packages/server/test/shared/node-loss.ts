import { afterEach, expect, test } from 'vitest'
import * as Y from 'yjs'
import { openEditor, synced, until, type Editor } from '../support/editor.ts'
import { send } from '../support/http.ts'
import { startNode, type NodePlace, type NodeProcess } from './node-process.ts'

/** Two servers in processes of their own, of which one and then the other is lost by `kill -9`. */
export function nodeLossTests(placeOf: () => NodePlace): void {
  const cleanups: (() => unknown)[] = []
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
  })

  async function start(): Promise<NodeProcess> {
    const node = await startNode(placeOf())
    cleanups.push(() => node.kill())
    return node
  }

  function edit(node: NodeProcess, doc: Y.Doc): Editor {
    const editor = openEditor(node.url, 'doc', { doc })
    cleanups.push(() => editor.provider.destroy())
    return editor
  }

  test('either server killed under load: everything acknowledged is there, and everybody converges on the other', async () => {
    let [leaving, staying] = [await start(), await start()]
    const docs = [new Y.Doc(), new Y.Doc()]
    const acknowledged: string[] = []
    for (const round of [0, 1]) {
      const editors = [edit(leaving, docs[0]!), edit(staying, docs[1]!)]
      await synced(...editors)
      let running = true
      const patching = patchWhile(leaving, round, () => running, acknowledged)
      const goal = acknowledged.length + 25
      // An agent that is refused fails the test at once.
      let refusal: unknown
      patching.catch((error: unknown) => (refusal = error))
      while (acknowledged.length < goal && refusal === undefined) {
        for (const [index, doc] of docs.entries()) doc.getArray<string>('typed').push([`${round} ${index}`])
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
      if (refusal !== undefined) throw refusal
      await leaving.kill()
      running = false
      await patching
      const { body } = await send('GET', `${staying.url}/v1/documents/doc`)
      expect(Object.keys(body as object)).toEqual(expect.arrayContaining(acknowledged))
      // Who was on the server that is gone comes to the other one, and brings what nobody had acknowledged.
      editors[0]!.provider.destroy()
      const moved = edit(staying, docs[0]!)
      await synced(moved)
      await until('both editors to hold the same', () => isEqual(docs[0]!, docs[1]!))
      moved.provider.destroy()
      editors[1]!.provider.destroy()
      ;[leaving, staying] = [staying, await start()]
    }
    const typed = docs[0]!.getArray<string>('typed').toJSON() as string[]
    const fresh = new Y.Doc()
    await synced(edit(leaving, fresh))
    expect(fresh.getArray('typed').toJSON()).toEqual(typed)
    expect(Object.keys(fresh.getMap('state').toJSON())).toEqual(expect.arrayContaining(acknowledged))
    for (const doc of [...docs, fresh]) doc.destroy()
  })
}

/** Adds members one by one, as an agent does; what was answered with 2xx is in `acknowledged`. */
async function patchWhile(
  node: NodeProcess,
  round: number,
  isRunning: () => boolean,
  acknowledged: string[],
): Promise<void> {
  for (let count = 0; isRunning(); count++) {
    const key = `${round}.${count}`
    const patch = [{ op: 'add', path: `/${key}`, value: true }]
    const answer = await send('PATCH', `${node.url}/v1/documents/doc`, { patch }).catch(() => undefined)
    if (answer === undefined) return
    expect(answer).toMatchObject({ status: 200 })
    acknowledged.push(key)
  }
}

function isEqual(left: Y.Doc, right: Y.Doc): boolean {
  return (
    Buffer.from(Y.encodeStateVector(left)).equals(Y.encodeStateVector(right)) &&
    JSON.stringify(left.getArray('typed')) === JSON.stringify(right.getArray('typed'))
  )
}
