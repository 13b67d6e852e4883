import type { Message, ToolCall } from '@ag-ui/core'
import { assertNever } from '@polyphony/core'
import { jsonEquals, type JsonValue } from '@polyphony/translator'
import * as Y from 'yjs'
import { messageMembers, messagesRoot, type MessageStatus, type ToolCallStatus } from './conversation.ts'
import type { MessageEdit } from './message-edit.ts'
import { wellFormed } from './well-formed.ts'

/** How a message came about; written beside what AG-UI knows of it. */
export interface MessageOrigin {
  readonly runId?: string | undefined
  readonly author?: string | undefined
  readonly createdAtMs?: number | undefined
}

/**
 * Carries out edits on the messages of a document, in one transaction. What an edit is about may be gone; then it does
 * nothing. Never throws on account of what is in the document.
 */
export function writeMessages(doc: Y.Doc, edits: readonly MessageEdit[], origin: MessageOrigin): void {
  if (edits.length === 0) return
  const list = doc.getArray<unknown>(messagesRoot)
  doc.transact(() => {
    const writer = new ConversationWriter(list, origin)
    for (const edit of edits) writer.write(edit)
  })
}

/** Items at the end of the list that are looked at one by one. */
const nearMax = 32

class ConversationWriter {
  readonly #list: Y.Array<unknown>
  readonly #origin: MessageOrigin
  readonly #messages = new Map<string, Y.Map<unknown>>()
  readonly #calls = new Map<string, Y.Map<unknown>>()
  /** How much of the list has not been looked at yet; looked through from the end, where most of what changes is. */
  #unknown: number
  /** The items in their order, once somebody has needed that; kept as the list is. */
  #items: unknown[] | undefined

  constructor(list: Y.Array<unknown>, origin: MessageOrigin) {
    this.#list = list
    this.#origin = origin
    this.#unknown = list.length
  }

  write(edit: MessageEdit): void {
    switch (edit.type) {
      case 'add':
        return this.#add(edit.message, edit.status, edit.place)
      case 'append':
        return append(this.#message(edit.id), edit.delta)
      case 'change':
        return this.#change(edit.from, edit.to)
      case 'remove':
        return this.#remove(edit.id)
      case 'status':
        return set(this.#message(edit.id), 'status', edit.status)
      case 'call-add':
        return this.#addCall(edit.id, edit.call)
      case 'call-append': {
        const text = this.#call(edit.callId)?.get('arguments')
        return text instanceof Y.Text ? text.insert(text.length, edit.delta) : undefined
      }
      case 'call-change': {
        const call = this.#call(edit.from.id)
        return call === undefined ? undefined : changeCall(call, edit.from, edit.to)
      }
      case 'call-status':
        return this.#setCallStatus(edit.callId, edit.status, edit.resultId)
      default:
        return assertNever(edit)
    }
  }

  #message(id: string): Y.Map<unknown> | undefined {
    while (!this.#messages.has(id) && this.#unknown > 0) this.#know(this.#nextUnknown())
    return this.#messages.get(id)
  }

  #call(id: string): Y.Map<unknown> | undefined {
    while (!this.#calls.has(id) && this.#unknown > 0) this.#know(this.#nextUnknown())
    return this.#calls.get(id)
  }

  /** Only who has to look far needs all items. */
  #nextUnknown(): unknown {
    this.#unknown -= 1
    const isNear = this.#list.length - this.#unknown <= nearMax
    return isNear && this.#items === undefined ? this.#list.get(this.#unknown) : this.#all()[this.#unknown]
  }

  #all(): unknown[] {
    this.#items ??= this.#list.toArray()
    return this.#items
  }

  #know(item: unknown): void {
    if (!(item instanceof Y.Map)) return
    const id: unknown = item.get('id')
    // Of two with one id the last is the one that everybody sees.
    if (typeof id !== 'string' || this.#messages.has(id)) return
    this.#messages.set(id, item as Y.Map<unknown>)
    for (const call of callsOf(item)) {
      const callId = call.get('id')
      if (typeof callId === 'string' && !this.#calls.has(callId)) this.#calls.set(callId, call)
    }
  }

  #add(
    message: Message,
    status: MessageStatus,
    place: 'end' | 'result' | { readonly after: string | undefined },
  ): void {
    if (this.#message(message.id) !== undefined) return
    const item = createMessage(message, status, this.#origin)
    const index = this.#indexFor(message, place)
    this.#list.insert(index, [item])
    this.#items?.splice(index, 0, item)
    this.#know(item)
  }

  #indexFor(message: Message, place: 'end' | 'result' | { readonly after: string | undefined }): number {
    if (place === 'end') return this.#list.length
    const items = this.#all()
    if (typeof place === 'object') {
      if (place.after === undefined) return 0
      return items.lastIndexOf(this.#message(place.after)) + 1 || items.length
    }
    const call = 'toolCallId' in message ? this.#call(message.toolCallId) : undefined
    // A message holds the list of its calls, which holds the call.
    const owner = call === undefined ? -1 : items.lastIndexOf(call.parent?.parent)
    if (owner < 0) return items.length
    let index = owner + 1
    while (isTool(items[index])) index++
    return index
  }

  #change(from: Message, to: Message): void {
    const map = this.#message(from.id)
    if (map === undefined) return
    const before = from as unknown as Readonly<Record<string, unknown>>
    const after = to as unknown as Readonly<Record<string, unknown>>
    for (const member of messageMembers) {
      if (member === 'toolCalls' || same(before[member], after[member])) continue
      if (member === 'content') changeContent(map, before.content, after)
      else set(map, member, after[member])
    }
    this.#changeCalls(map, callsIn(from), callsIn(to))
    const calls = map.get('toolCalls')
    if (after.toolCalls === undefined && calls instanceof Y.Array && calls.length === 0)
      map.delete('toolCalls')
    if (after.toolCalls !== undefined && calls === undefined && !map.has('toolCalls'))
      map.set('toolCalls', new Y.Array())
  }

  #changeCalls(map: Y.Map<unknown>, from: readonly ToolCall[], to: readonly ToolCall[]): void {
    const known = new Map(from.map((call) => [call.id, call]))
    const kept = new Set(to.map(({ id }) => id))
    for (const call of to) {
      const before = known.get(call.id)
      const item = callsOf(map).find((one) => one.get('id') === call.id)
      if (before !== undefined && item !== undefined) changeCall(item, before, call)
      else if (item === undefined && before === undefined) this.#pushCall(map, call, 'running')
    }
    const list = map.get('toolCalls')
    if (!(list instanceof Y.Array)) return
    for (let index = list.length - 1; index >= 0; index--) {
      const call: unknown = list.get(index)
      const id = call instanceof Y.Map ? call.get('id') : undefined
      if (typeof id !== 'string' || !known.has(id) || kept.has(id)) continue
      this.#forgetCall(call as Y.Map<unknown>)
      list.delete(index)
    }
  }

  /** Unless another message has it by now. */
  #forgetCall(call: Y.Map<unknown>): void {
    const id = String(call.get('id'))
    if (this.#calls.get(id) === call) this.#calls.delete(id)
  }

  #remove(id: string): void {
    const map = this.#message(id)
    if (map === undefined) return
    for (const call of callsOf(map)) this.#forgetCall(call)
    const index = this.#all().lastIndexOf(map)
    this.#list.delete(index)
    this.#all().splice(index, 1)
    this.#messages.delete(id)
  }

  #addCall(id: string, call: ToolCall): void {
    const map = this.#message(id)
    if (map !== undefined && this.#call(call.id) === undefined) this.#pushCall(map, call, 'arguments')
  }

  #pushCall(map: Y.Map<unknown>, call: ToolCall, status: ToolCallStatus): void {
    let list = map.get('toolCalls')
    if (!(list instanceof Y.Array)) {
      list = new Y.Array<unknown>()
      map.set('toolCalls', list)
    }
    const item = createCall(call, status)
    ;(list as Y.Array<unknown>).push([item])
    this.#calls.set(call.id, item)
  }

  #setCallStatus(callId: string, status: ToolCallStatus, resultId: string | undefined): void {
    const call = this.#call(callId)
    set(call, 'status', status)
    if (resultId !== undefined) set(call, 'resultId', resultId)
  }
}

function createMessage(message: Message, status: MessageStatus, origin: MessageOrigin): Y.Map<unknown> {
  const map = new Y.Map<unknown>()
  const members = message as unknown as Readonly<Record<string, unknown>>
  for (const member of messageMembers) {
    const value = members[member]
    if (value === undefined) continue
    if (member === 'content') map.set('content', createContent(message.role, value))
    else if (member === 'toolCalls')
      map.set(
        'toolCalls',
        Y.Array.from(
          callsIn(message).map((call) => createCall(call, status === 'streaming' ? 'arguments' : 'running')),
        ),
      )
    else map.set(member, value)
  }
  map.set('status', status)
  for (const [name, value] of Object.entries(origin)) if (value !== undefined) map.set(name, value)
  return map
}

/** Text that people can type into; an activity with one entry per member, so that changing one leaves the others. */
function createContent(role: Message['role'], content: unknown): unknown {
  if (typeof content === 'string') return new Y.Text(wellFormed(content))
  if (role === 'activity' && typeof content === 'object' && content !== null)
    return new Y.Map(Object.entries(content))
  return content
}

function createCall(call: ToolCall, status: ToolCallStatus): Y.Map<unknown> {
  const map = new Y.Map<unknown>([
    ['id', call.id],
    ['name', call.function.name],
    ['arguments', new Y.Text(wellFormed(call.function.arguments))],
    ['status', status],
  ])
  if (call.encryptedValue !== undefined) map.set('encryptedValue', call.encryptedValue)
  if (call.metadata !== undefined) map.set('metadata', call.metadata)
  return map
}

function append(map: Y.Map<unknown> | undefined, delta: string): void {
  const content = map?.get('content')
  if (content instanceof Y.Text) content.insert(content.length, delta)
  else map?.set('content', new Y.Text(delta))
}

function changeContent(map: Y.Map<unknown>, from: unknown, to: Readonly<Record<string, unknown>>): void {
  const now = map.get('content')
  const { content } = to
  if (now instanceof Y.Text && typeof content === 'string') changeText(now, from, content)
  else if (now instanceof Y.Map && to.role === 'activity') changeMembers(now, from, content)
  else
    set(
      map,
      'content',
      content === undefined ? undefined : createContent(to.role as Message['role'], content),
    )
}

function changeMembers(map: Y.Map<unknown>, from: unknown, to: unknown): void {
  const before = Object(from) as Readonly<Record<string, unknown>>
  const after = Object(to) as Readonly<Record<string, unknown>>
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)]))
    if (!same(before[key], after[key])) set(map, key, after[key])
}

/** What others typed stays when the author only went on writing; when it wrote something else, that is what stands. */
function changeText(text: Y.Text, from: unknown, next: string): void {
  const to = wellFormed(next)
  const now = text.toJSON()
  if (now === to) return
  if (typeof from === 'string' && from !== '' && to.startsWith(from)) {
    text.insert(text.length, to.slice(from.length))
    return
  }
  let start = 0
  while (start < now.length && start < to.length && now[start] === to[start]) start++
  let end = 0
  const endMax = Math.min(now.length, to.length) - start
  while (end < endMax && now[now.length - 1 - end] === to[to.length - 1 - end]) end++
  text.delete(start, now.length - start - end)
  text.insert(start, to.slice(start, to.length - end))
}

function changeCall(map: Y.Map<unknown>, from: ToolCall, to: ToolCall): void {
  if (from.function.name !== to.function.name) map.set('name', to.function.name)
  const text = map.get('arguments')
  if (text instanceof Y.Text && from.function.arguments !== to.function.arguments)
    changeText(text, from.function.arguments, to.function.arguments)
  if (!same(from.metadata, to.metadata)) set(map, 'metadata', to.metadata)
  if (from.encryptedValue !== to.encryptedValue) set(map, 'encryptedValue', to.encryptedValue)
}

function set(map: Y.Map<unknown> | undefined, key: string, value: unknown): void {
  if (map === undefined) return
  if (value === undefined) map.delete(key)
  else if (map.get(key) !== value) map.set(key, value)
}

function same(a: unknown, b: unknown): boolean {
  if (a === b) return true
  return a !== undefined && b !== undefined && jsonEquals(a as JsonValue, b as JsonValue)
}

function callsIn(message: Message): readonly ToolCall[] {
  return ('toolCalls' in message ? message.toolCalls : undefined) ?? []
}

function callsOf(map: Y.Map<unknown>): Y.Map<unknown>[] {
  const calls = map.get('toolCalls')
  if (!(calls instanceof Y.Array)) return []
  return calls.toArray().filter((call): call is Y.Map<unknown> => call instanceof Y.Map)
}

function isTool(item: unknown): boolean {
  return item instanceof Y.Map && item.get('role') === 'tool'
}
