import type { IncomingMessage } from 'node:http'
import { PolyphonyError, type Limits } from '@polyphony/core'
import { parseJson } from './json-guard.ts'

/**
 * Reads a body of at most `bodyBytesMax` bytes. Throws `body-too-large` as soon as it is known to be larger, and
 * `unsupported-media-type` when it is compressed.
 */
export async function readBody(
  request: IncomingMessage,
  limits: Pick<Limits, 'bodyBytesMax'>,
): Promise<Buffer> {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new PolyphonyError('unsupported-media-type', 'Bodies are taken without Content-Encoding only.')
  }
  if (Number(request.headers['content-length'] ?? 0) > limits.bodyBytesMax)
    throw tooLarge(limits.bodyBytesMax)
  const chunks: Buffer[] = []
  let bytes = 0
  // Leaving the loop must not destroy the request, or the client would never see why it is refused.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    const buffer = chunk as Buffer
    bytes += buffer.byteLength
    if (bytes > limits.bodyBytesMax) throw tooLarge(limits.bodyBytesMax)
    chunks.push(buffer)
  }
  return Buffer.concat(chunks)
}

/** Reads a JSON body within the limits of size, depth and number of members. */
export async function readJsonBody(request: IncomingMessage, limits: Limits): Promise<unknown> {
  return parseJson(await readBody(request, limits), limits)
}

/** The media type of the body, in lower case and without parameters; '' when there is none. */
export function mediaTypeOf(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';', 1).join('').trim().toLowerCase()
}

function tooLarge(bytesMax: number): PolyphonyError {
  return new PolyphonyError('body-too-large', `A request body has at most ${bytesMax} bytes.`, {
    limit: 'bodyBytesMax',
  })
}
