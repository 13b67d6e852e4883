import type { Message, ToolCall } from '@ag-ui/core'

/** Messages in order, found by id at once, however many there are. Of two with one id the last is found. */
export class MessageList {
  readonly #all: Message[]
  readonly #byId: Map<string, Message>

  constructor(messages: readonly Message[]) {
    this.#all = [...messages]
    this.#byId = new Map(messages.map((message) => [message.id, message]))
  }

  get all(): readonly Message[] {
    return this.#all
  }

  find(id: string): Message | undefined {
    return this.#byId.get(id)
  }

  push(message: Message): void {
    this.#all.push(message)
    this.#byId.set(message.id, message)
  }

  /** Puts another version of a message, of the same id, into its place. What changes most is near the end. */
  replace(from: Message, to: Message): void {
    this.#all[this.#all.lastIndexOf(from)] = to
    this.#byId.set(to.id, to)
  }

  /** A tool call and the message that makes it, looked for from the end. */
  findCall(id: string): { readonly call: ToolCall; readonly owner: Message } | undefined {
    const owner = this.#all.findLast((message) => callsOf(message).some((call) => call.id === id))
    const call = owner === undefined ? undefined : callsOf(owner).find((one) => one.id === id)
    return owner === undefined || call === undefined ? undefined : { owner, call }
  }

  /** Adds the answer of a tool where the official client puts it: behind the call and the answers that are there. */
  addAnswer(message: Message & { readonly role: 'tool' }): void {
    const owner = this.findCall(message.toolCallId)?.owner
    let index = owner === undefined ? this.#all.length : this.#all.lastIndexOf(owner) + 1
    if (owner !== undefined) while (this.#all[index]?.role === 'tool') index++
    this.#all.splice(index, 0, message)
    this.#byId.set(message.id, message)
  }
}

/** The tool calls that a message makes. */
export function callsOf(message: Message): readonly ToolCall[] {
  return ('toolCalls' in message ? message.toolCalls : undefined) ?? []
}

/** By call, the first message that makes it. */
export function ownersOf(messages: readonly Message[]): Map<string, string> {
  const owners = new Map<string, string>()
  for (const message of messages)
    for (const { id } of callsOf(message)) if (!owners.has(id)) owners.set(id, message.id)
  return owners
}
