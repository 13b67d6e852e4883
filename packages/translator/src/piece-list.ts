/** Consecutive elements that the author saw, `from` counted in what it saw; kept in place when removed. */
export interface BasePiece {
  readonly node: undefined
  readonly from: number
  readonly length: number
  readonly removed: boolean
}

/** An element that the patch has put in. */
export interface NodePiece<N extends object> {
  readonly node: N
  /** Appended with `-`: it goes to the end of the list as it is, not after the last element that the author saw. */
  readonly atEnd: boolean
}

export type Piece<N extends object> = BasePiece | NodePiece<N>

/** An element of the list as the patch has it so far. */
export type Element<N extends object> =
  | { readonly node: N; readonly base?: undefined }
  | { readonly node: undefined; readonly base: number }

const blockMax = 512

/**
 * A list under edit: the elements that the author saw, minus what the patch removed, plus what it put in. Removed
 * elements stay where they are, so that every insertion keeps its neighbour. Blocks of pieces make an edit cost
 * O(sqrt(edits)), independent of the length of the list.
 */
export class PieceList<N extends object> {
  #blocks: { pieces: Piece<N>[]; visible: number }[]
  #length: number
  #edited = false

  constructor(baseLength: number) {
    const pieces: Piece<N>[] =
      baseLength > 0 ? [{ node: undefined, from: 0, length: baseLength, removed: false }] : []
    this.#blocks = [{ pieces, visible: baseLength }]
    this.#length = baseLength
  }

  get length(): number {
    return this.#length
  }

  /** Whether anything was put in or removed. */
  get edited(): boolean {
    return this.#edited
  }

  *pieces(): IterableIterator<Piece<N>> {
    for (const block of this.#blocks) yield* block.pieces
  }

  at(index: number): Element<N> {
    const { piece, offset } = this.#find(index)
    return isBase(piece) ? { node: undefined, base: piece.from + offset } : { node: piece.node }
  }

  /** Puts a node in before the element at `index`, right behind the one before. */
  insert(index: number, node: N): void {
    this.#edited = true
    if (index === 0) {
      this.#splice(0, 0, 0, [{ node, atEnd: false }])
      return
    }
    const { block, at, piece, offset } = this.#find(index - 1)
    if (isBase(piece) && offset + 1 < piece.length)
      this.#splice(block, at, 1, [
        { ...piece, length: offset + 1 },
        { node, atEnd: false },
        { ...piece, from: piece.from + offset + 1, length: piece.length - offset - 1 },
      ])
    else this.#splice(block, at + 1, 0, [{ node, atEnd: false }])
  }

  append(node: N): void {
    this.#edited = true
    const block = this.#blocks.length - 1
    this.#splice(block, this.#blocks[block]?.pieces.length ?? 0, 0, [{ node, atEnd: true }])
  }

  remove(index: number): void {
    this.#edited = true
    this.#replace(index, undefined)
  }

  /** Puts a node in the place of an element. */
  replace(index: number, node: N): void {
    this.#edited = true
    this.#replace(index, node)
  }

  #replace(index: number, node: N | undefined): void {
    const { block, at, piece, offset } = this.#find(index)
    if (!isBase(piece)) {
      this.#splice(block, at, 1, node === undefined ? [] : [{ node, atEnd: piece.atEnd }])
      return
    }
    const { from, length } = piece
    const pieces: Piece<N>[] = []
    if (offset > 0) pieces.push({ ...piece, length: offset })
    if (node !== undefined) pieces.push({ node, atEnd: false })
    pieces.push({ node: undefined, from: from + offset, length: 1, removed: true })
    if (offset + 1 < length) pieces.push({ ...piece, from: from + offset + 1, length: length - offset - 1 })
    this.#splice(block, at, 1, pieces)
  }

  #find(index: number): { block: number; at: number; piece: Piece<N>; offset: number } {
    let rest = index
    for (const [block, { pieces, visible }] of this.#blocks.entries()) {
      if (rest >= visible) {
        rest -= visible
        continue
      }
      for (const [at, piece] of pieces.entries()) {
        const width = widthOf(piece)
        if (rest < width) return { block, at, piece, offset: rest }
        rest -= width
      }
    }
    throw new RangeError(`There is no element ${index}`)
  }

  #splice(index: number, at: number, remove: number, insert: Piece<N>[]): void {
    const block = this.#blocks[index]
    if (block === undefined) throw new RangeError(`There is no block ${index}`)
    const removed = block.pieces.splice(at, remove, ...insert)
    let change = 0
    for (const piece of insert) change += widthOf(piece)
    for (const piece of removed) change -= widthOf(piece)
    block.visible += change
    this.#length += change
    if (block.pieces.length <= blockMax) return
    const tail = block.pieces.splice(blockMax / 2)
    const moved = tail.reduce((sum, piece) => sum + widthOf(piece), 0)
    block.visible -= moved
    this.#blocks.splice(index + 1, 0, { pieces: tail, visible: moved })
  }
}

function isBase(piece: Piece<object>): piece is BasePiece {
  return piece.node === undefined
}

function widthOf(piece: Piece<object>): number {
  if (!isBase(piece)) return 1
  return piece.removed ? 0 : piece.length
}
