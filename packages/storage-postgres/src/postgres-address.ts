/** Where to connect for statements, and where for notifications. */
export interface PostgresAddress {
  readonly statements: string
  readonly notifications: string
}

/**
 * Takes `?listen=HOST:PORT` out of an address: notifications are listened for there, with the same database, user and
 * password. Throws `TypeError` for an address that is none of PostgreSQL.
 */
export function parseAddress(address: string): PostgresAddress {
  if (!/^postgres(ql)?:\/\//.test(address))
    throw new TypeError('The address of PostgreSQL begins with postgres://')
  if (!/[?&]listen=/.test(address)) return { statements: address, notifications: address }
  const url = new URL(address)
  const listen = url.searchParams.get('listen') ?? ''
  url.searchParams.delete('listen')
  const statements = url.href
  if (!/^[^/?#@]+$/.test(listen)) throw new TypeError(`listen is HOST:PORT, not "${listen}"`)
  url.port = ''
  url.host = listen
  return { statements, notifications: url.href }
}
