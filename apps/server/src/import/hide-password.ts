/** An address as it may be shown and written down. */
export function hidePassword(address: string): string {
  if (!URL.canParse(address)) return address
  const url = new URL(address)
  if (url.password !== '') url.password = '***'
  return url.href
}
