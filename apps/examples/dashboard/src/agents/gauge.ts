import type { Greenhouse } from '../greenhouse.ts'
import type { GreenhouseDocument } from './document.ts'

const trendLength = 24

/** The agent that measures: every bed drifts a little, as a patch of what changed. */
export async function measure(document: GreenhouseDocument, drift: (bed: string) => number): Promise<void> {
  const { state, version } = await document.read()
  await document.patch(measurements(state, drift), version)
}

/** The patch of one round of measuring. */
export function measurements({ beds }: Greenhouse, drift: (bed: string) => number): object[] {
  return Object.entries(beds).flatMap(([id, { celsius, humidity, trend }]) => {
    const now = Math.round(Math.min(34, Math.max(14, celsius + drift(id))) * 10) / 10
    const damp = Math.round(Math.min(90, Math.max(35, humidity - drift(id) * 2)))
    const path = `/beds/${id}`
    return [
      { op: 'replace', path: `${path}/celsius`, value: now },
      { op: 'replace', path: `${path}/humidity`, value: damp },
      { op: 'add', path: `${path}/trend/-`, value: now },
      ...(trend.length >= trendLength ? [{ op: 'remove', path: `${path}/trend/0` }] : []),
    ]
  })
}
