/** Prints rows under a header, columns aligned, as Markdown. */
export function printTable(
  title: string,
  header: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  const widths = header.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => (row[column] ?? '').length)),
  )
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`
  console.log(`\n### ${title}\n`)
  console.log(line(header))
  console.log(line(widths.map((width) => '-'.repeat(width))))
  for (const row of rows) console.log(line(row))
}

/** Milliseconds with three significant digits. */
export function ms(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? '–' : plain(value)
}

/** How many times `ours` fits into `theirs`. */
export function times(ours: number | undefined, theirs: number | undefined): string {
  if (ours === undefined || theirs === undefined || Number.isNaN(theirs)) return '–'
  return `${plain(theirs / ours)}×`
}

export function bytes(count: number): string {
  if (count < 1_000) return `${count} B`
  if (count < 1_000_000) return `${plain(count / 1_000)} KB`
  return `${plain(count / 1_000_000)} MB`
}

function plain(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)))
}
