const lone = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g

/** The text with halves of characters replaced: they have no UTF-8, so other replicas would get something else. */
export function wellFormed(text: string): string {
  return text.replace(lone, '\uFFFD')
}

/** Cuts a stream of text between characters: agents may cut it within one. */
export class CharacterJoiner {
  readonly #halves = new Map<string, string>()

  /** What of the text named `key` is whole after one more piece. */
  next(key: string, piece: string): string {
    const text = (this.#halves.get(key) ?? '') + piece
    const last = text.charCodeAt(text.length - 1)
    const isHalf = last >= 0xd800 && last <= 0xdbff
    if (isHalf) this.#halves.set(key, text.slice(-1))
    else this.#halves.delete(key)
    return wellFormed(isHalf ? text.slice(0, -1) : text)
  }

  /** Forgets a half that nothing followed. */
  end(key: string): void {
    this.#halves.delete(key)
  }
}
