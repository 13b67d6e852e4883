import type { Greenhouse } from '../greenhouse.ts'

/** The document by REST: what agents in any language would do. */
export class GreenhouseDocument {
  readonly #address: string

  /** @param address of the document, as `http://127.0.0.1:4400/v1/documents/greenhouse` */
  constructor(address: string) {
    this.#address = address
  }

  /** The state, and the token of its version. */
  async read(): Promise<{ readonly state: Greenhouse; readonly version: string }> {
    const response = await fetch(this.#address)
    if (!response.ok) throw new Error(`Reading failed: ${response.status}`)
    return {
      state: (await response.json()) as Greenhouse,
      version: response.headers.get('polyphony-version') ?? '',
    }
  }

  /** A JSON Patch, meant for the state as it was at `version`; edits that others made meanwhile stay. */
  async patch(patch: readonly object[], version: string): Promise<void> {
    if (patch.length === 0) return
    const response = await fetch(this.#address, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json-patch+json', 'polyphony-anchor': version },
      body: JSON.stringify(patch),
    })
    if (!response.ok) throw new Error(`Writing failed: ${response.status} ${await response.text()}`)
  }
}
