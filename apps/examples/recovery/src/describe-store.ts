/** The address of a store without a password, and without the path of a directory. */
export function describeStore(store: string): string {
  if (store.startsWith('level:')) return 'level:'
  if (!URL.canParse(store)) return store
  const { protocol, host, pathname } = new URL(store)
  return host === '' ? store : `${protocol}//${host}${pathname}`
}
