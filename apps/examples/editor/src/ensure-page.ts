import { authorizationOf, documentUrl, emptyPage, type DocumentAddress } from '@polyphony/example-agent'

/**
 * Sees to it that the document has its list of tasks before anybody works with it. The server makes it, once: when two
 * windows each made a list of their own, one of the two would vanish with everything in it.
 */
export async function ensurePage(address: DocumentAddress): Promise<void> {
  const url = documentUrl(address)
  const headers = authorizationOf(address)
  if (!(await exists(address))) {
    const created = await fetch(url, {
      method: 'PUT',
      headers: { ...headers, 'content-type': 'application/json', 'if-none-match': '*' },
      body: JSON.stringify(emptyPage),
    })
    // 412: somebody else was faster; 403: we may only read, and see what there is.
    if (created.ok || created.status === 403) return
    if (created.status !== 412) throw new Error(`The server answers ${created.status} to PUT ${url}`)
  }
  for (let attempt = 0; attempt < 5; attempt++) {
    const found = await fetch(url, { headers })
    const state: unknown = await found.json()
    if (typeof state !== 'object' || state === null || 'tasks' in state) return
    const patched = await fetch(url, {
      method: 'PATCH',
      headers: {
        ...headers,
        'content-type': 'application/json-patch+json',
        'if-match': found.headers.get('etag') ?? '*',
      },
      body: JSON.stringify([{ op: 'add', path: '/tasks', value: [] }]),
    })
    if (patched.status !== 412) return
  }
}

/** Asks the list, since asking for the document itself would leave an error in the browser's console. */
async function exists(address: DocumentAddress): Promise<boolean> {
  const { documentId } = address
  const query = new URLSearchParams({ prefix: documentId, limit: '1' })
  const response = await fetch(`${address.url}/v1/documents?${query}`, { headers: authorizationOf(address) })
  if (!response.ok) throw new Error(`The server answers ${response.status} to the list of documents`)
  const { documents } = (await response.json()) as { readonly documents: readonly { readonly id: string }[] }
  return documents[0]?.id === documentId
}
