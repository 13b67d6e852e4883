import { generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import type { AuthorizationRequest } from './authorization.ts'
import { jwtAuthorizer } from './jwt.ts'

const secret = 'a secret of thirty-two bytes or more'
const key = new TextEncoder().encode(secret)
const authorize = jwtAuthorizer({ secret, clockToleranceMs: 0 })
const good = { sub: 'ada', documents: ['notes/*', 'plan'], access: 'write' }

function request(token: string | undefined): AuthorizationRequest {
  return { transport: 'http', token, headers: {}, url: '/', remoteAddress: '203.0.113.9' }
}

function sign(claims: Record<string, unknown>, algorithm = 'HS256', signingKey = key): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: algorithm }).sign(signingKey)
}

test('a token grants what it says and nothing else', async () => {
  const principal = await authorize(request(await sign(good)))
  expect(principal.id).toBe('ada')
  expect(principal.access('notes/today')).toBe('write')
  expect(principal.access('plan')).toBe('write')
  expect(principal.access('notes/a/b')).toBe('none')
  expect(principal.access('planning')).toBe('none')
  const reader = await authorize(request(await sign({ ...good, access: 'read' })))
  expect(reader.access('plan')).toBe('read')
})

test('a token says when it ends', async () => {
  const exp = Math.floor(Date.now() / 1_000) + 60
  const principal = await authorize(request(await sign({ ...good, exp })))
  expect(principal.expiresAtMs).toBe(exp * 1_000)
})

describe('refused', () => {
  const past = Math.floor(Date.now() / 1_000) - 60
  const tokens: Record<string, () => Promise<string | undefined> | string | undefined> = {
    'no token': () => undefined,
    'not a token': () => 'abc',
    'another secret': () =>
      sign(good, 'HS256', new TextEncoder().encode('another secret of thirty-two bytes!!')),
    'another HMAC': () => sign(good, 'HS512', new Uint8Array(64)),
    'no signature': () => new UnsecuredJWT(good).encode(),
    'an asymmetric key': async () => {
      const { privateKey } = await generateKeyPair('ES256')
      return new SignJWT(good).setProtectedHeader({ alg: 'ES256' }).sign(privateKey)
    },
    'a changed payload': async () => {
      const [head, , signature] = (await sign(good)).split('.')
      return `${head}.${Buffer.from(JSON.stringify({ ...good, sub: 'eve' })).toString('base64url')}.${signature}`
    },
    expired: () => sign({ ...good, exp: past }),
    'not yet valid': () => sign({ ...good, nbf: past + 3_600 }),
    'no subject': () => sign({ ...good, sub: undefined }),
    'an empty subject': () => sign({ ...good, sub: '' }),
    'no documents': () => sign({ ...good, documents: undefined }),
    'documents as text': () => sign({ ...good, documents: '**' }),
    'documents of another type': () => sign({ ...good, documents: [7] }),
    'no access': () => sign({ ...good, access: undefined }),
    'an unknown access': () => sign({ ...good, access: 'admin' }),
  }
  test.each(Object.keys(tokens))('%s', async (name) => {
    const token = await tokens[name]?.()
    await expect((async () => authorize(request(token)))()).rejects.toMatchObject({ code: 'unauthorized' })
  })
})

test('a short secret is refused', () => {
  expect(() => jwtAuthorizer({ secret: 'short' })).toThrow(TypeError)
})
