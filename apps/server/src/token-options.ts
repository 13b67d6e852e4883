/** The options of `polyphony token`, for its parser, its help and the documentation. */
export const tokenOptions = [
  { flag: 'subject', value: 'NAME', meaning: 'Who the token is for; written into the log as the author' },
  {
    flag: 'document',
    value: 'PATTERN',
    meaning: 'Documents it grants: "*" stands for any characters but "/", "**" for any. May be repeated',
  },
  { flag: 'access', value: 'ACCESS', meaning: '"read" or "write" (which includes reading). Default: write' },
  {
    flag: 'read',
    value: 'POINTER',
    meaning:
      'Limits it to the part of each document at this JSON pointer. May be repeated. Default: all of it',
  },
  {
    flag: 'write',
    value: 'POINTER',
    meaning:
      'The part that it may change, within what it may read. May be repeated. Default: what it may read',
  },
  {
    flag: 'expires-in',
    value: 'TIME',
    meaning: 'How long it is valid, such as 15m, 12h or 30d. Default: 12h',
  },
  {
    flag: 'auth-secret',
    value: 'SECRET',
    meaning: 'The secret of the server. Better in POLYPHONY_AUTH_SECRET, where other users cannot see it',
  },
] as const
