/** A document on a Polyphony server. */
export interface DocumentAddress {
  /** Where the server is, such as `http://localhost:4400`. */
  readonly url: string
  readonly documentId: string
  /** For servers with an auth secret. */
  readonly token?: string | undefined
}

/** The address of the document itself, or of what `below` names. */
export function documentUrl({ url, documentId }: DocumentAddress, below = ''): string {
  return `${url.replace(/\/$/, '')}/v1/documents/${encodeURIComponent(documentId)}${below}`
}

/** What every request to the server carries. */
export function authorizationOf({ token }: DocumentAddress): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` }
}
