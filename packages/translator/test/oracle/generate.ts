import * as Y from 'yjs'
import type { Rng } from './rng.ts'

/** What a random document may hold. */
export interface Flavour {
  /** Also `undefined`, bytes, big integers, `NaN` and the like, subdocuments: what JSON cannot say. */
  readonly exotic?: boolean
  /** An `XmlFragment` root named `prosemirror`, edited too. */
  readonly xml?: boolean
  /** `Y.Text` members, and a root text named `text`. */
  readonly text?: boolean
  /** Formatting and embeds inside texts. */
  readonly rich?: boolean
}

export const keys = ['a', 'b', 'c', 'list', '', '/', '~', '~1', 'a/b~c', '0', '-', 'ключ', 'constructor']
const words = ['', 'x', 'hello', 'two words', 'naïve', '👩‍🚀', '🙂🙃', '日本語', 'line\nline\n', '~/\\"']
const depthMax = 5

/** One random change to `doc`, of any kind, at any place, inside whatever transaction is open. */
export function editRandomly(rng: Rng, doc: Y.Doc, flavour: Flavour = {}): void {
  const places = livePlaces(doc, flavour)
  // The newest nested place is as likely as all others together, so that documents grow deep and not only wide.
  const place = rng.chance(0.4) ? places[places.length - 1] : rng.pick(places)
  if (place === undefined) return
  const { type, depth } = place
  if (type instanceof Y.XmlText || type instanceof Y.Text) editText(rng, type, flavour)
  else if (type instanceof Y.XmlFragment) editXml(rng, type, depth)
  else if (type instanceof Y.Array) editArray(rng, type as Y.Array<unknown>, depth, flavour)
  else if (type instanceof Y.Map) editMap(rng, type as Y.Map<unknown>, depth, flavour)
}

interface Place {
  readonly type: Y.AbstractType<unknown>
  readonly depth: number
}

function livePlaces(doc: Y.Doc, flavour: Flavour): Place[] {
  const places: Place[] = []
  const visit = (value: unknown, depth: number): void => {
    if (!(value instanceof Y.AbstractType)) return
    places.push({ type: value as Y.AbstractType<unknown>, depth })
    if (value instanceof Y.XmlFragment || value instanceof Y.Array)
      for (const child of value.toArray() as unknown[]) visit(child, depth + 1)
    else if (value instanceof Y.Map) for (const child of value.values()) visit(child, depth + 1)
  }
  visit(doc.getMap('state'), 0)
  if (flavour.text === true) visit(doc.getText('text'), 0)
  if (flavour.xml === true) visit(doc.getXmlFragment('prosemirror'), 0)
  return places
}

function editMap(rng: Rng, map: Y.Map<unknown>, depth: number, flavour: Flavour): void {
  const present = [...map.keys()]
  const dice = rng.next()
  if (dice < 0.2 && present.length > 0) map.delete(rng.pick(present))
  else if (dice < 0.22) map.clear()
  else map.set(rng.pick(keys), makeValue(rng, depth, flavour, true))
}

function editArray(rng: Rng, array: Y.Array<unknown>, depth: number, flavour: Flavour): void {
  const dice = rng.next()
  if (dice < 0.35 && array.length > 0) {
    const at = rng.int(array.length)
    array.delete(at, 1 + rng.int(Math.min(3, array.length - at)))
  } else if (dice < 0.38) array.delete(0, array.length)
  else {
    const at = dice < 0.6 ? array.length : rng.int(array.length + 1)
    array.insert(
      at,
      Array.from({ length: 1 + rng.int(3) }, () => makeValue(rng, depth, flavour, false)),
    )
  }
}

function editText(rng: Rng, text: Y.Text, flavour: Flavour): void {
  const dice = rng.next()
  const rich = flavour.rich === true || text instanceof Y.XmlText
  if (dice < 0.3 && text.length > 0) {
    const at = codePointBoundary(text, rng.int(text.length))
    const end = codePointBoundary(text, Math.min(text.length, at + 1 + rng.int(4)))
    if (end > at) text.delete(at, end - at)
  } else if (dice < 0.4 && rich && text.length > 0) {
    const at = codePointBoundary(text, rng.int(text.length))
    const end = codePointBoundary(text, at + 1 + rng.int(text.length - at))
    const mark = rng.pick([{ bold: true }, { em: {} }, { link: { href: 'x' } }, { bold: null }])
    if (end > at) text.format(at, end - at, mark)
  } else if (dice < 0.43 && flavour.rich === true && !(text instanceof Y.XmlText)) {
    text.insertEmbed(codePointBoundary(text, rng.int(text.length + 1)), { image: 'x.png' })
  } else text.insert(codePointBoundary(text, rng.int(text.length + 1)), rng.pick(words))
}

/** Yjs turns both halves of a split surrogate pair into U+FFFD; editors do not cut there, and neither does this. */
function codePointBoundary(text: Y.Text, at: number): number {
  // Embeds count one unit but are no part of toString, so the units are counted from the delta.
  let units = ''
  for (const part of text.toDelta() as { insert: unknown }[])
    units += typeof part.insert === 'string' ? part.insert : '\ufffc'
  const code = units.charCodeAt(at)
  return code >= 0xdc00 && code <= 0xdfff ? at + 1 : at
}

function editXml(rng: Rng, parent: Y.XmlFragment, depth: number): void {
  const dice = rng.next()
  if (parent instanceof Y.XmlElement && dice < 0.25) {
    const name = rng.pick(['level', 'id', 'style'])
    if (rng.chance(0.3)) parent.removeAttribute(name)
    else parent.setAttribute(name, rng.pick(['1', '2', 'x']))
  } else if (dice < 0.5 && parent.length > 0) parent.delete(rng.int(parent.length), 1)
  else parent.insert(rng.int(parent.length + 1), [makeXml(rng, depth)])
}

function makeXml(rng: Rng, depth: number): Y.XmlElement | Y.XmlText {
  if (rng.chance(0.5) || depth > depthMax) return new Y.XmlText(rng.pick(words))
  const element = new Y.XmlElement(rng.pick(['paragraph', 'heading', 'bulletList']))
  if (rng.chance(0.3)) element.setAttribute('level', '1')
  if (rng.chance(0.7)) element.insert(0, [makeXml(rng, depth + 1)])
  return element
}

let unique = 0

/** A number that no other value of this process has. */
export function uniqueNumber(): number {
  unique += 1
  return unique
}

function makeValue(rng: Rng, depth: number, flavour: Flavour, member: boolean): unknown {
  const dice = rng.next()
  if (dice < 0.35 && depth < depthMax) return makeType(rng, depth, flavour)
  if (dice < 0.45) return rng.pick(words)
  if (dice < 0.5) return rng.pick<unknown>([{ plain: [1, { deep: true }] }, [], {}, [1, [2]]])
  if (flavour.exotic === true && dice < 0.6) {
    const both: unknown[] = [
      NaN,
      Infinity,
      -0,
      2 ** 53,
      new Uint8Array([1, 2, 255]),
      new Y.Doc({ guid: 'sub' }),
    ]
    return rng.pick(member ? [...both, undefined, 1234567890123456789n] : both)
  }
  if (dice < 0.7) return rng.pick<unknown>([null, true, false, 0, 1.5, -1])
  return uniqueNumber()
}

function makeType(rng: Rng, depth: number, flavour: Flavour): unknown {
  const dice = rng.next()
  if (dice < 0.2 && flavour.text === true) return new Y.Text(rng.pick(words))
  if (dice < 0.6) {
    const map = new Y.Map<unknown>()
    for (let i = rng.int(3); i > 0; i--) map.set(rng.pick(keys), makeValue(rng, depth + 1, flavour, true))
    return map
  }
  const array = new Y.Array<unknown>()
  array.push(Array.from({ length: rng.int(4) }, () => makeValue(rng, depth + 1, flavour, false)))
  return array
}
