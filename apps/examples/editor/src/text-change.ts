/** What turned one string into another: the part in the middle that is not the same. */
export interface TextChange {
  readonly before: string
  readonly removed: string
  readonly inserted: string
  readonly after: string
}

const contextLength = 18
const shownMax = 60

/** The smallest single replacement, with a little of what stands around it; long parts are cut. */
export function textChange(from: string, to: string): TextChange {
  let start = 0
  const startMax = Math.min(from.length, to.length)
  while (start < startMax && from[start] === to[start]) start += 1
  let end = 0
  const endMax = startMax - start
  while (end < endMax && from[from.length - 1 - end] === to[to.length - 1 - end]) end += 1
  const context = to.slice(Math.max(0, start - contextLength), start)
  return {
    before: start > contextLength ? `…${context}` : context,
    removed: cut(from.slice(start, from.length - end)),
    inserted: cut(to.slice(start, to.length - end)),
    after: cut(to.slice(to.length - end, to.length - end + contextLength)),
  }
}

function cut(text: string): string {
  return text.length > shownMax ? `${text.slice(0, shownMax)}…` : text
}
