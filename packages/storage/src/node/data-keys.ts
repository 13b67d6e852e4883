import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { toPolyphonyError } from '@polyphony/core'
import type { KeyProvider } from './key-ring.ts'

/** A key that values are encrypted with, and how it is found again: its envelope. */
export class DataKey {
  readonly keyId: string
  /** Key id and wrapped key, each after its length in a byte. Stored with every value. */
  readonly envelope: Uint8Array
  readonly #key: KeyObject
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
   * Nonce (8 bytes), ciphertext, tag (16 bytes). Nonces are counted: a data key belongs to one process and one lifetime, so
   * none comes twice.
   */
  seal(plaintext: Uint8Array, associated: Uint8Array): Uint8Array {
    const nonce = Buffer.alloc(12)
    nonce.writeUIntBE(++this.#nonces, 6, 6)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce)
    cipher.setAAD(associated)
    const text = cipher.update(plaintext)
    cipher.final()
    return Buffer.concat([nonce.subarray(4), text, cipher.getAuthTag()])
  }

  /** Throws when anything differs from what `seal` was given or gave. */
  open(sealed: Uint8Array, associated: Uint8Array): Uint8Array {
    if (sealed.length < sealBytes) throw new RangeError('too short')
    const nonce = Buffer.alloc(12)
    nonce.set(sealed.subarray(0, 8), 4)
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce)
    decipher.setAAD(associated)
    decipher.setAuthTag(sealed.subarray(sealed.length - 16))
    const text = decipher.update(sealed.subarray(8, sealed.length - 16))
    decipher.final()
    return new Uint8Array(text.buffer, text.byteOffset, text.length)
  }
}

/** What `seal` adds. */
export const sealBytes = 24

const usesMax = 2 ** 40
const openKeysMax = 1000

/** The data keys of one wrapper: one to write with, and those that reading has met. */
export class DataKeys {
  readonly #provider: KeyProvider
  readonly #open = new Map<string, Promise<DataKey>>()
  #current: DataKey | undefined
  #making: Promise<DataKey> | undefined

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
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined
    })
    return this.current ?? (await this.#making)
  }

  /** Reads an envelope at the start of `bytes`; gives the key and the length of the envelope. */
  async find(bytes: Uint8Array): Promise<{ readonly key: DataKey; readonly length: number }> {
    const idEnd = 1 + (bytes[0] ?? 0)
    const length = idEnd + 1 + (bytes[idEnd] ?? 0)
    if (length > bytes.length) throw new RangeError('the envelope is cut off')
    const name = Buffer.from(bytes.subarray(0, length)).toString('base64')
    const known = this.#open.get(name)
    if (known !== undefined) return { key: await known, length }
    const keyId = Buffer.from(bytes.subarray(1, idEnd)).toString()
    const opening = this.#unwrap(keyId, bytes.slice(idEnd + 1, length))
    this.#open.set(name, opening)
    // One that failed is tried again next time.
    opening.catch(() => this.#open.delete(name))
    if (this.#open.size > openKeysMax)
      for (const oldest of [...this.#open.keys()].slice(0, 1)) this.#open.delete(oldest)
    return { key: await opening, length }
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
    return new DataKey(keyId, wrapped, await this.#provider.unwrap(keyId, wrapped))
  }
}
