import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import pg from 'pg'

/** Of all files in a directory and below it. */
export async function directoryBytes(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  // A database may remove a file of its own meanwhile.
  const sizes = await Promise.all(
    files.map(({ parentPath, name }) =>
      stat(join(parentPath, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** Of the append-only file, of all that use the server. */
export async function redisBytes(url: string): Promise<number> {
  const redis = new Redis(url)
  try {
    const info = await redis.info('persistence')
    return Number(/aof_current_size:(\d+)/.exec(info)?.[1] ?? 0)
  } finally {
    redis.disconnect()
  }
}

/** Of the tables of a schema with their indexes; not the write-ahead log, which the server reuses. */
export async function postgresBytes(url: string, schema: string): Promise<number> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ bytes: string | null }>(
      `SELECT sum(pg_total_relation_size(c.oid)) AS bytes FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relkind = 'r'`,
      [schema],
    )
    return Number(rows[0]?.bytes ?? 0)
  } finally {
    await client.end()
  }
}
