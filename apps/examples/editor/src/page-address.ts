import type { DocumentAddress } from '@polyphony/example-agent'

/** Which document this page shows: `?document=…`, or `welcome`. A `?token=…` is taken along for servers that want one. */
export function readPageAddress(location: Location): DocumentAddress {
  const query = new URLSearchParams(location.search)
  const documentId = query.get('document') ?? ''
  return {
    url: location.origin,
    documentId: documentId === '' ? 'welcome' : documentId,
    token: query.get('token') ?? undefined,
  }
}

/** What to send to somebody: the page with the document, never with the token. */
export function shareLink({ documentId }: DocumentAddress, location: Location): string {
  const url = new URL(location.pathname, location.origin)
  url.searchParams.set('document', documentId)
  return url.href
}
