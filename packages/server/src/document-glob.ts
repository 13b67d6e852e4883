/**
 * Compiles a pattern for document ids: `*` stands for any characters but `/`, `**` for any characters at all; everything
 * else is itself. The whole id must match.
 */
export function compileDocumentGlob(pattern: string): (documentId: string) => boolean {
  const source = pattern
    .split(/(\*+)/)
    .map((part) => (part === '*' ? '[^/]*' : part.startsWith('**') ? '.*' : escape(part)))
    .join('')
  const expression = new RegExp(`^${source}$`, 'su')
  return (documentId) => expression.test(documentId)
}

function escape(literal: string): string {
  return literal.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}
