export { compressed, type CompressedOptions } from './compressed.ts'
export { encrypted } from './encrypted.ts'
export { generateKeyLine, KeyRing, parseKeyRing, readKeyRing, type KeyProvider } from './key-ring.ts'
