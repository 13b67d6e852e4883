/** One bed of the greenhouse, as it stands in the document. */
export interface Bed {
  readonly name: string
  readonly celsius: number
  readonly humidity: number
  /** The last temperatures, oldest first. */
  readonly trend: readonly number[]
}

/** Something that wants looking at. */
export interface Alert {
  readonly id: string
  readonly bed: string
  readonly text: string
  /** People say that they have seen it. */
  readonly seen: boolean
}

/** The state of the document `greenhouse`. */
export interface Greenhouse {
  /** Above this many degrees a bed is too warm. Set by people. */
  readonly limit: number
  readonly beds: Readonly<Record<string, Bed>>
  readonly alerts: readonly Alert[]
}

export const documentId = 'greenhouse'

const names = { tomato: 'Tomatoes', basil: 'Basil', pepper: 'Peppers', lemon: 'Lemons' }

/** A greenhouse before anybody has measured anything. */
export const emptyGreenhouse: Greenhouse = {
  limit: 27,
  beds: Object.fromEntries(
    Object.entries(names).map(([id, name], index) => {
      const celsius = 22 + index * 1.5
      return [
        id,
        { name, celsius, humidity: 58 + index * 4, trend: Array.from({ length: 24 }, () => celsius) },
      ]
    }),
  ),
  alerts: [],
}
