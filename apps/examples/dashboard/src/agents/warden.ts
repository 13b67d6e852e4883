import type { Alert, Greenhouse } from '../greenhouse.ts'
import type { GreenhouseDocument } from './document.ts'

/** The agent that minds the limit which people set: beds above it get an alert, beds below it lose theirs. */
export async function guard(document: GreenhouseDocument): Promise<void> {
  const { state, version } = await document.read()
  await document.patch(changes(state), version)
}

/** The patch that makes the alerts what they should be. What people noted on those that stay is not touched. */
export function changes({ beds, limit, alerts }: Greenhouse): object[] {
  const cold = alerts
    .map(({ bed }, index) => ({ index, celsius: beds[bed]?.celsius ?? -Infinity }))
    .filter(({ celsius }) => celsius <= limit)
    .toReversed()
    .map(({ index }) => ({ op: 'remove', path: `/alerts/${index}` }))
  const known = new Set(alerts.map(({ bed }) => bed))
  const warm = Object.entries(beds)
    .filter(([id, { celsius }]) => celsius > limit && !known.has(id))
    .map(([id, { name }]) => {
      const value: Alert = { id, bed: id, text: `${name}: above ${limit} °C`, seen: false }
      return { op: 'add', path: '/alerts/-', value }
    })
  return [...cold, ...warm]
}
