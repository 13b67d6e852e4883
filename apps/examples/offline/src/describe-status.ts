import type { DocumentStatus } from '@polyphony/client'

export interface StatusDescription {
  /** Of the colour: `good` is only said when the server has it all. */
  readonly tone: 'good' | 'wait' | 'bad'
  readonly title: string
  readonly detail: string
}

/** What to tell people, in their words. */
export function describeStatus(status: DocumentStatus): StatusDescription {
  const { connection, loaded, saved, savedLocally, error, localError, access } = status
  if (!loaded) return { tone: 'wait', title: 'Opening', detail: 'Reading what is kept on this device.' }
  if (connection === 'refused')
    return {
      tone: 'bad',
      title: 'Refused',
      detail: `${error?.message ?? 'The server does not let you in.'} ${keptWhere(status)}`,
    }
  if (access === 'read')
    return { tone: 'bad', title: 'Only for reading', detail: 'What you change here is not sent to anybody.' }
  if (saved && connection === 'online')
    return { tone: 'good', title: 'Saved', detail: 'The server has everything that you see.' }
  if (saved)
    return {
      tone: 'good',
      title: 'Saved, offline',
      detail: 'The server has everything that you see; what others do comes later.',
    }
  if (connection === 'online')
    return { tone: 'wait', title: 'Saving', detail: `On its way to the server. ${keptWhere(status)}` }
  if (savedLocally)
    return {
      tone: 'wait',
      title: 'Kept on this device',
      detail: 'Not on the server yet: it goes there when the network is back, even if you close this page.',
    }
  return {
    tone: 'bad',
    title: 'Not kept yet',
    detail:
      localError === undefined
        ? 'Being written to this device.'
        : `This device cannot keep it: ${localError.message}`,
  }
}

function keptWhere({ saved, savedLocally }: DocumentStatus): string {
  if (saved) return ''
  return savedLocally ? 'It is kept on this device.' : 'Keep this page open.'
}
