import type { Progress, Round } from './experiment.ts'

/** A line that is written over while people type. */
export function progressLine({ round, typed, acknowledged }: Progress, rounds: number): string {
  return `  round ${round}/${rounds}: people are typing, ${words(typed)} typed, ${words(acknowledged)} acknowledged …`
}

export const roundHeader = row(['kill', 'typed', 'acknowledged', 'there', 'lost', 'twice', 'back after'])

export function roundRow({ round, typed, acknowledged, restartMs }: Round): string {
  const { expected, there, lost, twice } = acknowledged
  return row([round, typed, expected, there, lost, twice, `${Math.round(restartMs)} ms`])
}

/** What became of those who did not leave. */
export function stayedLine({ stayed: { expected, there, twice } }: Round): string {
  return `  Those who stayed and came back by themselves: ${words(expected)} typed, ${words(there)} there, ${words(twice)} twice.`
}

/** All contenders below each other. */
export function closingTable(results: readonly { readonly title: string; readonly round: Round }[]): string {
  const width = Math.max(...results.map(({ title }) => title.length))
  const line = (title: string, cells: readonly (string | number)[]): string =>
    `  ${title.padEnd(width)}${row(cells)}`
  return [
    line('', ['acknowledged', 'survived', 'lost', 'twice']),
    ...results.map(({ title, round: { acknowledged } }) =>
      line(title, [acknowledged.expected, acknowledged.there, acknowledged.lost, acknowledged.twice]),
    ),
  ].join('\n')
}

/** Whether a server kept its word. */
export function isWhole({ acknowledged, stayed }: Round): boolean {
  return acknowledged.lost + acknowledged.twice + stayed.lost + stayed.twice === 0
}

function row(cells: readonly (string | number)[]): string {
  return cells.map((cell) => (typeof cell === 'number' ? words(cell) : cell).padStart(14)).join('')
}

function words(count: number): string {
  return count.toLocaleString('en')
}
