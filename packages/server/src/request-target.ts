import { PolyphonyError } from '@polyphony/core'

export interface RequestTarget {
  /** As it came in: not decoded, so that `%2F` stays apart from `/`. */
  readonly path: string
  readonly query: URLSearchParams
  /** From `?token=`, which is taken out of `query`. */
  readonly token: string | undefined
  /** Path and query without the token, for logs and hooks. */
  readonly redacted: string
}

/** Reads the target of a request. Throws `invalid-request` for what is neither a path nor an absolute URL. */
export function parseRequestTarget(target: string): RequestTarget {
  const relative = target.replace(/^https?:\/\/[^/?#]*/i, '')
  if (!relative.startsWith('/') && relative !== '' && !relative.startsWith('?')) {
    throw new PolyphonyError('invalid-request', 'The target of the request is not a path.')
  }
  const [beforeFragment = ''] = relative.split('#', 1)
  const mark = beforeFragment.indexOf('?')
  const path = (mark < 0 ? beforeFragment : beforeFragment.slice(0, mark)) || '/'
  const query = new URLSearchParams(mark < 0 ? '' : beforeFragment.slice(mark + 1))
  const token = query.get('token') ?? undefined
  query.delete('token')
  return { path, query, token, redacted: query.size === 0 ? path : `${path}?${query.toString()}` }
}

/** Decodes one segment of a path. Throws `invalid-document-id` for broken percent-encoding. */
export function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch (cause) {
    throw new PolyphonyError(
      'invalid-document-id',
      'The document id in the path is not valid percent-encoding.',
      {
        cause,
      },
    )
  }
}
