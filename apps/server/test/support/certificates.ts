import { execFileSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findBinary } from '@polyphony/test-services'

export const openssl = findBinary('openssl')

/** Files of a certificate for the loopback address, and of the authority that vouches for it. */
export interface Certificates {
  readonly ca: string
  readonly certificate: string
  readonly key: string
}

/** Makes them with the machine's openssl, in an empty folder. */
export function makeCertificates(folder: string): Certificates {
  const run = (...args: readonly string[]): unknown =>
    execFileSync(openssl ?? '', args, { cwd: folder, stdio: 'pipe' })
  writeFileSync(join(folder, 'names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
  const fresh = ['-newkey', 'rsa:2048', '-nodes']
  run('req', '-x509', ...fresh, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=authority')
  run('req', ...fresh, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost')
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names']
  run('x509', '-req', '-in', 'server.csr', ...signing, '-out', 'server.pem')
  chmodSync(join(folder, 'server.key'), 0o600)
  return {
    ca: join(folder, 'ca.pem'),
    certificate: join(folder, 'server.pem'),
    key: join(folder, 'server.key'),
  }
}
