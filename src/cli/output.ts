/** Columns as wide as their contents, without borders, for terminals and pipes alike. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length)
    })
  }
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd()
  return rows.map((row) => `${line(row)}\n`).join('')
}

/** Prints to standard output. */
export function print(text: string): void {
  process.stdout.write(text)
}

/** Prints a value as JSON that reads well. */
export function printJson(value: unknown): void {
  print(`${JSON.stringify(value, null, 1)}\n`)
}

const colours = { red: 31, green: 32, yellow: 33 } as const

/** A word in colour where a person reads it: on a terminal, and without NO_COLOR. */
export function paint(colour: keyof typeof colours, word: string): string {
  const isPlain = (process.env['NO_COLOR'] ?? '') !== '' || !process.stdout.isTTY
  return isPlain ? word : `\u001b[${colours[colour]}m${word}\u001b[0m`
}
