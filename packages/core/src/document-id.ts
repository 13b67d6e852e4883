import { PolyphonyError } from './errors.ts'
import { limitTable } from './limits.ts'

/**
 * Checks a decoded document id: 1 to 512 bytes of well-formed UTF-8 without control characters.
 * Returns it, or throws `invalid-document-id`.
 */
export function parseDocumentId(id: string): string {
  const bytes = utf8Length(id)
  if (bytes < 1 || bytes > limitTable.documentIdBytesMax.default) {
    throw new PolyphonyError(
      'invalid-document-id',
      `A document id has 1 to ${limitTable.documentIdBytesMax.default} bytes; this one has ${bytes}.`,
    )
  }
  if (unspeakable.test(id)) {
    throw new PolyphonyError(
      'invalid-document-id',
      'A document id has no control characters and no lone surrogates.',
    )
  }
  return id
}

const unspeakable =
  // oxlint-disable-next-line no-control-regex -- control characters are exactly what is refused
  /[\u0000-\u001f\u007f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/

function utf8Length(text: string): number {
  let bytes = 0
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4
  }
  return bytes
}
