import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { isPolyphonyError, PolyphonyError, toPolyphonyError } from '@polyphony/core'
import type { KeyProvider } from './key-ring.ts'

/** A key that values are encrypted with, and how it is found again: its envelope. */
export class DataKey {
  readonly keyId: string
  /** Key id and wrapped key, each after its length in a byte. Stored with every value. */
  readonly envelope: Uint8Array
  readonly #key: KeyObject
  readonly #nonce = Buffer.alloc(nonceBytes)
  #nonces = 0

  constructor(keyId: string, wrapped: Uint8Array, key: Uint8Array) {
    this.keyId = keyId
    this.#key = createSecretKey(key)
    const id = Buffer.from(keyId)
    this.envelope = Buffer.concat([Uint8Array.of(id.length), id, Uint8Array.of(wrapped.length), wrapped])
  }

  /** Whether it has been used as often as one key should be. */
  get isWornOut(): boolean {
    return this.#nonces >= usesMax
  }

  /**
   * `header`, then nonce (8 bytes), ciphertext, tag (16 bytes). Header and plaintext may be used again afterwards.
   *
   * No nonce comes twice under one key, which is what AES-GCM depends on: `DataKeys` seals only with keys that it made
   * itself, each from 32 fresh random bytes and held by one object, whose counter gives the nonces. A key that was found
   * in an envelope, even one's own, is another object and only opens. So neither processes nor restarts share a counter,
   * and a key that is worn out is replaced.
   */
  seal(plaintext: Uint8Array, associated: Uint8Array, header: Uint8Array = noHeader): Uint8Array {
    this.#nonce.writeUIntBE(++this.#nonces, nonceBytes - 6, 6)
    const cipher = createCipheriv('aes-256-gcm', this.#key, this.#nonce)
    cipher.setAAD(associated)
    const text = cipher.update(plaintext)
    cipher.final()
    const sealed = new Uint8Array(header.length + text.length + sealBytes)
    sealed.set(header)
    sealed.set(this.#nonce.subarray(nonceBytes - storedNonceBytes), header.length)
    sealed.set(text, header.length + storedNonceBytes)
    sealed.set(cipher.getAuthTag(), sealed.length - tagBytes)
    return sealed
  }

  /** Throws when anything differs from what `seal` was given or gave; `sealed` without the header. */
  open(sealed: Uint8Array, associated: Uint8Array): Uint8Array {
    if (sealed.length < sealBytes) throw new RangeError('too short')
    const nonce = Buffer.alloc(nonceBytes)
    nonce.set(sealed.subarray(0, storedNonceBytes), nonceBytes - storedNonceBytes)
    const tagAt = sealed.length - tagBytes
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce)
    decipher.setAAD(associated)
    decipher.setAuthTag(sealed.subarray(tagAt))
    const text = decipher.update(sealed.subarray(storedNonceBytes, tagAt))
    decipher.final()
    return new Uint8Array(text.buffer, text.byteOffset, text.length)
  }
}

const nonceBytes = 12
const storedNonceBytes = 8
const tagBytes = 16
/** What `seal` adds. */
export const sealBytes = storedNonceBytes + tagBytes

const noHeader = new Uint8Array()
const usesMax = 2 ** 40
const openKeysMax = 1000

/** The data keys of one wrapper: one to write with, and those that reading has met. */
export class DataKeys {
  readonly #provider: KeyProvider
  readonly #open = new Map<string, Promise<DataKey>>()
  #current: DataKey | undefined
  #making: Promise<DataKey> | undefined
  #lastFound: DataKey | undefined

  constructor(provider: KeyProvider) {
    this.#provider = provider
  }

  /** The key to write with, if it is at hand; otherwise `make` one. */
  get current(): DataKey | undefined {
    const key = this.#current
    return key !== undefined && key.keyId === this.#provider.primaryKeyId && !key.isWornOut ? key : undefined
  }

  /** A fresh random key, wrapped under the primary key. Rejects with `store-failed` when the provider does. */
  async make(): Promise<DataKey> {
    if (this.current !== undefined) return this.current
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined
    })
    return await this.#making
  }

  /** The key of the envelope at the start of `bytes`. */
  async find(bytes: Uint8Array): Promise<DataKey> {
    // Neighbours in a log mostly have the same.
    const last = this.#lastFound
    if (last !== undefined && beginsWith(bytes, last.envelope)) return last
    const idEnd = 1 + (bytes[0] ?? 0)
    const end = idEnd + 1 + (bytes[idEnd] ?? 0)
    if (end > bytes.length) throw new RangeError('the envelope is cut off')
    const name = Buffer.from(bytes.subarray(0, end)).toString('base64')
    const known = this.#open.get(name)
    const opening =
      known ?? this.#unwrap(Buffer.from(bytes.subarray(1, idEnd)).toString(), bytes.slice(idEnd + 1, end))
    if (known === undefined) this.#remember(name, opening)
    this.#lastFound = await opening
    return this.#lastFound
  }

  #remember(name: string, opening: Promise<DataKey>): void {
    this.#open.set(name, opening)
    // One that failed is tried again next time.
    opening.catch(() => this.#open.delete(name))
    if (this.#open.size <= openKeysMax) return
    for (const oldest of this.#open.keys()) {
      this.#open.delete(oldest)
      return
    }
  }

  async #make(): Promise<DataKey> {
    const key = randomBytes(32)
    try {
      const { keyId, wrapped } = await this.#provider.wrap(key)
      this.#current = new DataKey(keyId, wrapped, key)
      return this.#current
    } catch (error) {
      throw toPolyphonyError(error, 'store-failed')
    }
  }

  async #unwrap(keyId: string, wrapped: Uint8Array): Promise<DataKey> {
    try {
      return new DataKey(keyId, wrapped, await this.#provider.unwrap(keyId, wrapped))
    } catch (cause) {
      if (isPolyphonyError(cause)) throw cause
      throw new PolyphonyError(
        'store-misconfigured',
        `Something is encrypted under a key "${keyId}" that is another one than that in the ring: put back the ring that ` +
          'it was written with.',
        { cause },
      )
    }
  }
}

function beginsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  if (bytes.length < start.length) return false
  for (let at = 0; at < start.length; at++) if (bytes[at] !== start[at]) return false
  return true
}
