import type { JsonCursor } from '@polyphony/translator'
import type { Frame } from './frame-list.ts'
import { escapePointer, valueTooLarge } from './json-pieces.ts'
import { deltaEnvelope, snapshotEnvelope, type StateStamp } from './state-event.ts'
import { envelopeBytes, type FrameContext } from './state-frames.ts'
import { TextBuffer } from './text-buffer.ts'

/**
 * Frames that give a reader the whole state, whatever it had: a STATE_SNAPSHOT of as much as fits, then the rest in
 * STATE_DELTAs. Where a frame is full, the objects and arrays that are open are closed, and what is left of them is added
 * afterwards, so that every frame stands for itself:
 *
 *   snapshot {"a":{"b":1}}     delta [add /a/c, add /d {"e":[1]}]     delta [add /d/e/1, …]
 *
 * Made step by step, straight from the document: yields a frame whenever one is full, and otherwise what the last steps
 * cost in microseconds. Throws `document-too-large` for a single value that does not fit into a frame.
 */
export function* snapshotFrames(cursor: JsonCursor, context: FrameContext): Generator<Frame | number> {
  const writer = new SnapshotWriter(context)
  let costUs = 0
  for (let step = cursor.next(); step !== 'end'; step = cursor.next()) {
    switch (step) {
      case 'value': {
        const text = JSON.stringify(cursor.value)
        costUs += text.length * textUs
        yield* writer.value(text, cursor.key)
        break
      }
      case 'object':
      case 'array':
        yield* writer.open(step, cursor.key)
        break
      case 'close':
        writer.close()
        break
      case 'pause':
        costUs += pauseUs
    }
    costUs += stepUs
    if (costUs < yieldedUs) continue
    yield costUs
    costUs = 0
  }
  yield writer.finish()
}

const stepUs = 2
const pauseUs = 250
/** Making a UTF-16 unit into JSON and UTF-8. */
const textUs = 0.005
const yieldedUs = 500

/** An object or array that the walk is in. */
interface Level {
  readonly kind: 'object' | 'array'
  readonly parent: Level | undefined
  /** What it is called in its parent, as it stands in a pointer. */
  readonly token: string
  path: string | undefined
  /** Members and elements so far. */
  count: number
  /** Whether its text is in the frame and not closed yet. */
  isOpen: boolean
  /** Whether there is anything in that text. */
  isFilled: boolean
  /** Whether it is the whole value of an operation, which ends with it. */
  isOperation: boolean
}

class SnapshotWriter {
  readonly #context: FrameContext
  readonly #bytesMax: number
  readonly #text = new TextBuffer()
  #level: Level | undefined
  /** Levels whose text is open. */
  #openCount = 0
  #isFirst = true
  #isEmpty = true

  constructor(context: FrameContext) {
    this.#context = context
    this.#bytesMax = context.frameBytesMax - envelopeBytes(context, context.version)
  }

  *value(text: string, key: string | undefined): Generator<Frame> {
    yield* this.#write(text, key, 0)
    if (this.#level?.isOpen === false) this.#text.append('}')
  }

  *open(kind: Level['kind'], key: string | undefined): Generator<Frame> {
    const parent = this.#level
    const token = key === undefined ? `${parent?.count ?? ''}` : escapePointer(key)
    yield* this.#write(kind === 'object' ? '{' : '[', key, 1)
    const isOperation = parent?.isOpen === false
    this.#level = {
      kind,
      parent,
      token,
      path: undefined,
      count: 0,
      isOpen: true,
      isFilled: false,
      isOperation,
    }
    this.#openCount += 1
  }

  close(): void {
    const level = this.#level
    if (level === undefined) return
    this.#closeText(level)
    this.#level = level.parent
  }

  /** The last frame: only after it a reader may resume from the version. */
  finish(): Frame {
    return this.#frame(false)
  }

  /** Puts a text where it belongs: into the object or array around it, or into an operation of its own. */
  *#write(text: string, key: string | undefined, closers: number): Generator<Frame> {
    const parent = this.#level
    if (!this.#fits(this.#placed(text, key), closers)) {
      if (!this.#isEmpty) yield this.#cut()
      if (!this.#fits(this.#placed(text, key), closers))
        throw valueTooLarge(this.#pathOf(parent, key), this.#bytesMax)
    }
    this.#text.append(this.#placed(text, key))
    this.#isEmpty = false
    if (parent === undefined) return
    parent.count += 1
    if (parent.isOpen) parent.isFilled = true
  }

  #placed(text: string, key: string | undefined): string {
    const parent = this.#level
    if (parent === undefined) return text
    if (!parent.isOpen) {
      const separator = this.#isEmpty ? '' : ','
      return `${separator}{"op":"add","path":${JSON.stringify(this.#pathOf(parent, key))},"value":${text}`
    }
    const name = key === undefined ? '' : `${JSON.stringify(key)}:`
    return `${parent.isFilled ? ',' : ''}${name}${text}`
  }

  /** With everything closed that is open, the text itself too, and the end of an operation and of the patch. */
  #fits(text: string, closers: number): boolean {
    return this.#text.fits(text, this.#bytesMax - this.#openCount - closers - 4)
  }

  #pathOf(parent: Level | undefined, key: string | undefined): string {
    if (parent === undefined) return ''
    const token = key === undefined ? `${parent.count}` : escapePointer(key)
    return `${this.#pathTo(parent)}/${token}`
  }

  #pathTo(level: Level): string {
    level.path ??= level.parent === undefined ? '' : `${this.#pathTo(level.parent)}/${level.token}`
    return level.path
  }

  /** The frame as full as it is. What is open in it ends here and goes on in operations. */
  #cut(): Frame {
    for (let level = this.#level; level !== undefined; level = level.parent) this.#closeText(level)
    return this.#frame(true)
  }

  #closeText(level: Level): void {
    if (!level.isOpen) return
    level.isOpen = false
    this.#openCount -= 1
    this.#text.append(level.kind === 'object' ? '}' : ']')
    if (level.isOperation) this.#text.append('}')
    level.isOperation = false
  }

  #frame(isPartial: boolean): Frame {
    const { documentId, version } = this.#context
    const previous = this.#isFirst ? null : version
    const stamp: StateStamp = { documentId, version, previous, ...(isPartial ? { partial: true } : {}) }
    const [head, tail] = this.#isFirst ? snapshotEnvelope(stamp) : deltaEnvelope(stamp)
    const [open, close] = this.#isFirst ? ['', ''] : ['[', ']']
    const id = isPartial ? '' : version
    const bytes = this.#text.take(`id: ${id}\ndata: ${head}${open}`, `${close}${tail}\n\n`)
    const kind = this.#isFirst ? 'snapshot' : 'delta'
    this.#isFirst = false
    this.#isEmpty = true
    return { kind, bytes }
  }
}
