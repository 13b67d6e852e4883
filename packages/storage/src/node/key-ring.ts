import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { PolyphonyError } from '@polyphony/core'

/**
 * Keeps the keys that data keys are wrapped with. A `KeyRing` keeps them in memory; an implementation over a key management
 * service never shows them.
 */
export interface KeyProvider {
  /** Of the key that `wrap` uses now; at most 64 bytes. When it changes, what is written next is under the new key. */
  readonly primaryKeyId: string
  /** Wraps a data key of 32 bytes under the primary key. */
  wrap(dataKey: Uint8Array): Promise<{ readonly keyId: string; readonly wrapped: Uint8Array }>
  /** Rejects when the key is not known (`store-misconfigured` says so best), or is not the one that wrapped it. */
  unwrap(keyId: string, wrapped: Uint8Array): Promise<Uint8Array>
}

/**
 * Keys by id, one of which is primary. To rotate without downtime: give every node a ring with the new key added; then make
 * it primary everywhere; when checkpoints and retention have replaced all that the old one wrapped, take that out.
 */
export class KeyRing implements KeyProvider {
  readonly primaryKeyId: string
  readonly #keys: ReadonlyMap<string, KeyObject>

  /** Keys have 32 bytes, ids 1 to 64 letters, digits, `-` and `_`. Throws `TypeError` otherwise. */
  constructor(primaryKeyId: string, keys: Readonly<Record<string, Uint8Array>>) {
    for (const [keyId, key] of Object.entries(keys)) {
      if (!/^[\w-]{1,64}$/.test(keyId))
        throw new TypeError(`"${keyId}" is no key id: letters, digits, - and _, at most 64`)
      if (key.length !== 32) throw new TypeError(`The key "${keyId}" has ${key.length} bytes instead of 32`)
    }
    if (keys[primaryKeyId] === undefined)
      throw new TypeError(`The primary key "${primaryKeyId}" is not in the ring`)
    this.primaryKeyId = primaryKeyId
    this.#keys = new Map(Object.entries(keys).map(([keyId, key]) => [keyId, createSecretKey(key)]))
  }

  get keyIds(): readonly string[] {
    return [...this.#keys.keys()]
  }

  async wrap(dataKey: Uint8Array): Promise<{ readonly keyId: string; readonly wrapped: Uint8Array }> {
    const cipher = createCipheriv(keyWrap, this.#key(this.primaryKeyId), keyWrapIv)
    return { keyId: this.primaryKeyId, wrapped: Buffer.concat([cipher.update(dataKey), cipher.final()]) }
  }

  async unwrap(keyId: string, wrapped: Uint8Array): Promise<Uint8Array> {
    const decipher = createDecipheriv(keyWrap, this.#key(keyId), keyWrapIv)
    return Buffer.concat([decipher.update(wrapped), decipher.final()])
  }

  #key(keyId: string): KeyObject {
    const key = this.#keys.get(keyId)
    if (key !== undefined) return key
    throw new PolyphonyError(
      'store-misconfigured',
      `Something is encrypted under the key "${keyId}", which is not in the ring: add its line.`,
    )
  }
}

/** A ring of one line per key, `ID:BASE64`, the first of which is primary; commas do as line ends. Throws `TypeError`. */
export function parseKeyRing(text: string): KeyRing {
  const lines = text.split(/[\n,]/).map((line) => line.trim())
  const pairs = lines.filter((line) => line !== '' && !line.startsWith('#')).map(parseLine)
  const [first] = pairs
  if (first === undefined) throw new TypeError('A key ring has at least one line `ID:BASE64`')
  if (new Set(pairs.map(([keyId]) => keyId)).size < pairs.length)
    throw new TypeError('A key id appears twice in the ring')
  return new KeyRing(first[0], Object.fromEntries(pairs))
}

/** Reads `parseKeyRing`'s format from a file, which nobody but the server should be able to read. */
export async function readKeyRing(path: string): Promise<KeyRing> {
  return parseKeyRing(await readFile(path, 'utf8'))
}

/** A line for a key ring with a fresh random key. */
export function generateKeyLine(keyId: string): string {
  return `${keyId}:${randomBytes(32).toString('base64')}`
}

// AES key wrap (RFC 3394): made for wrapping keys, 8 bytes longer than the key, and needs no nonce.
const keyWrap = 'id-aes256-wrap'
const keyWrapIv = Buffer.alloc(8, 0xa6)

// Never shows the line: it holds a secret.
function parseLine(line: string, index: number): readonly [string, Uint8Array] {
  const colon = line.indexOf(':')
  if (colon < 1) throw new TypeError(`Line ${index + 1} of the key ring is not \`ID:BASE64\``)
  const base64 = line.slice(colon + 1)
  const key = Buffer.from(base64, 'base64')
  // Node stops at the first `=` and skips what it does not know: two lines run together would pass for one.
  if (key.toString('base64') !== base64)
    throw new TypeError(`Line ${index + 1} of the key ring is not \`ID:BASE64\``)
  return [line.slice(0, colon), new Uint8Array(key)]
}
