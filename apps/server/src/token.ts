import { parseArgs } from 'node:util'
import { readGrants } from '@polyphony/server'
import { SignJWT } from 'jose'
import { parseFlags } from './flags.ts'
import type { Environment } from './option-sources.ts'
import { UsageError } from './usage-error.ts'

/** Prints a token for the given documents and access. */
export async function token(args: readonly string[], env: Environment): Promise<number> {
  const grant = parseGrant(args, env)
  const jwt = await new SignJWT({
    documents: grant.documents.map((pattern) => claimOf(pattern, grant)),
    access: grant.access,
  })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(grant.subject)
    .setIssuedAt()
    .setExpirationTime(grant.expiresIn)
    .sign(new TextEncoder().encode(grant.secret))
  process.stdout.write(`${jwt}\n`)
  return 0
}

interface Grant {
  readonly subject: string
  readonly documents: readonly string[]
  readonly access: 'read' | 'write'
  readonly read: readonly string[] | undefined
  readonly write: readonly string[] | undefined
  readonly expiresIn: string
  readonly secret: string
}

/** A grant without pointers is just its pattern. */
function claimOf(pattern: string, { read, write }: Pick<Grant, 'read' | 'write'>): string | object {
  if (read === undefined && write === undefined) return pattern
  return { pattern, ...(read === undefined ? {} : { read }), ...(write === undefined ? {} : { write }) }
}

function parseGrant(args: readonly string[], env: Environment): Grant {
  const options = {
    subject: { type: 'string' },
    document: { type: 'string', multiple: true },
    access: { type: 'string' },
    read: { type: 'string', multiple: true },
    write: { type: 'string', multiple: true },
    'expires-in': { type: 'string' },
    'auth-secret': { type: 'string' },
  } as const
  const { values } = parseFlags(() => parseArgs({ args: [...args], options }))
  const secret = values['auth-secret'] ?? env['POLYPHONY_AUTH_SECRET'] ?? ''
  const { read, write } = values
  const { subject, access = 'write', document: documents = [], 'expires-in': expiresIn = '12h' } = values
  if (Buffer.byteLength(secret) < 32)
    throw new UsageError('Set POLYPHONY_AUTH_SECRET to the secret of the server, at least 32 bytes.')
  if (subject === undefined || subject === '') throw new UsageError('--subject is missing: who is it for?')
  if (documents.length === 0)
    throw new UsageError('--document is missing: which documents? For all: --document "**".')
  if (access !== 'read' && access !== 'write') throw new UsageError('--access is read or write.')
  if (
    readGrants({ documents: documents.map((pattern) => claimOf(pattern, { read, write })), access }) ===
    undefined
  )
    throw new UsageError(
      '--read and --write are JSON pointers to members of objects, such as /agent/notes, and --write lies within --read.',
    )
  if (!/^\d+[smhd]$/.test(expiresIn))
    throw new UsageError('--expires-in is a number with s, m, h or d, such as 12h.')
  return { subject, documents, access, read, write, expiresIn, secret }
}
