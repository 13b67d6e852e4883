import { createReadStream } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join, resolve, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createCompressor, negotiateEncoding } from './content-encoding.ts'

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.mjs': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
}

const compressible = /^(text\/|application\/(json|manifest)|image\/svg)/

/** Serves the files of one directory. A build's files with a hash in their name are cached for good, others never blindly. */
export class StaticSite {
  readonly #root: string

  constructor(directory: string) {
    this.#root = resolve(directory)
  }

  /** Answers a GET or HEAD for a file that exists; otherwise resolves with `false` and has done nothing. */
  async serve(request: IncomingMessage, response: ServerResponse, path: string): Promise<boolean> {
    const file = await this.#find(path)
    if (file === undefined) return false
    const type = types[extname(file.path)] ?? 'application/octet-stream'
    const etag = `W/"${file.bytes.toString(36)}-${Math.trunc(file.changedAtMs).toString(36)}"`
    response.setHeaders(
      new Map([
        ['content-type', type],
        ['etag', etag],
        ['vary', 'Accept-Encoding'],
        ['cache-control', isHashed(file.path) ? 'public, max-age=31536000, immutable' : 'no-cache'],
        ['content-security-policy', contentSecurityPolicy(request.headers.host)],
        ['referrer-policy', 'no-referrer'],
        ['cross-origin-opener-policy', 'same-origin'],
      ]),
    )
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304).end()
      return true
    }
    const encoding =
      compressible.test(type) && file.bytes > 1_024
        ? negotiateEncoding(request.headers['accept-encoding'], ['br', 'gzip'])
        : undefined
    if (encoding === undefined) response.setHeader('content-length', file.bytes)
    else response.setHeader('content-encoding', encoding)
    response.writeHead(200)
    if (request.method === 'HEAD') response.end()
    else if (encoding === undefined) await pipeline(createReadStream(file.path), response)
    else await pipeline(createReadStream(file.path), createCompressor(encoding), response)
    return true
  }

  /** The file at a path, which is inside the directory also once links are followed, and not hidden. */
  async #find(path: string): Promise<{ path: string; bytes: number; changedAtMs: number } | undefined> {
    const segments = decode(path)?.split('/').slice(1)
    // Names with a dot in front take `..` along.
    if (
      segments === undefined ||
      segments.some((segment) => segment.startsWith('.') || /[\\\0]/.test(segment))
    ) {
      return undefined
    }
    const asked = join(this.#root, ...segments, path.endsWith('/') ? 'index.html' : '')
    try {
      const found = await realpath(asked)
      if (!found.startsWith(`${await realpath(this.#root)}${sep}`)) return undefined
      const stats = await stat(found)
      return stats.isFile() ? { path: found, bytes: stats.size, changedAtMs: stats.mtimeMs } : undefined
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }
}

function decode(path: string): string | undefined {
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

function isMissing(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG' || code === 'ELOOP'
}

function isHashed(path: string): boolean {
  return /[.-][\w-]{8,}\.\w+$/.test(path) && path.includes(`${sep}assets${sep}`)
}

/** Scripts and connections of this server only. Editors set styles from scripts, so inline styles are let through. */
function contentSecurityPolicy(host: string | undefined): string {
  // Older browsers do not count WebSockets of the same host as 'self'.
  const sockets = host !== undefined && /^[\w.:[\]-]+$/.test(host) ? ` ws://${host} wss://${host}` : ''
  return [
    "default-src 'self'",
    `connect-src 'self'${sockets}`,
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "object-src 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "form-action 'self'",
  ].join('; ')
}
