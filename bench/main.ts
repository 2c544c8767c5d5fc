import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { benchmarks } from './benchmarks.ts'
import { compareReports } from './compare.ts'
import { describeMachine, loadAverage } from './machine.ts'
import { printReport } from './markdown.ts'
import { parseCommand, type Command } from './options.ts'
import type { Measurement, Report } from './result.ts'

const root = resolve(import.meta.dirname, '..')

async function main(args: readonly string[]): Promise<void> {
  const command = parseCommand(args)
  switch (command.kind) {
    case 'usage':
      process.exitCode = command.code
      process.stderr.write(command.text)
      return
    case 'compare':
      process.stdout.write(
        compareReports(readReport(command.files[0]!), readReport(command.files[1]!)),
      )
      return
    case 'print': {
      const printed = printReport(readReport(command.files[0]!))
      process.stdout.write(printed)
      if (command.docs) writeDocs(printed)
      return
    }
    case 'run':
      await run(command, `npm run bench -- ${args.join(' ')}`.trim().replace(/ --$/, ''))
  }
}

async function run(command: Command & { kind: 'run' }, text: string): Promise<void> {
  const started = new Date()
  const loadBefore = loadAverage()
  const measurements: Measurement[] = []
  const notes: Record<string, readonly string[]> = {}
  for (const benchmark of benchmarks.filter(({ name }) => command.names.includes(name))) {
    const outcome = await benchmark.run(command.options, say)
    measurements.push(...outcome.measurements)
    notes[benchmark.name] = outcome.notes
  }
  const report: Report = {
    ...{ version: 1, started: started.toISOString(), command: text, measurements, notes },
    seconds: (Date.now() - started.getTime()) / 1000,
    machine: describeMachine(loadBefore),
  }
  say('')
  const path = writeReport(report)
  // printed from what was written, so that the file alone gives the same text
  const printed = printReport(readReport(path))
  process.stdout.write(`${printed}\nwritten: ${path}\n`)
  if (command.docs) writeDocs(printed)
}

/** Progress goes to standard error, on one line where that is a terminal. */
function say(progress: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${progress}\x1b[K`)
  else if (progress !== '' && !/round [^1 ]/.test(progress)) process.stderr.write(`${progress}\n`)
}

function writeReport(report: Report): string {
  const folder = join(root, 'build/bench')
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `${report.started.replace(/[:.]/g, '-')}.json`)
  writeFileSync(path, `${JSON.stringify(report, null, 1)}\n`)
  return path
}

/** JSON has no NaN: rounds without a number are null there. */
function readReport(path: string): Report {
  const report = JSON.parse(readFileSync(path, 'utf8'), (key, value: unknown) =>
    value === null ? NaN : value,
  ) as Report // our own file
  if ((report.version as number) !== 1) throw new Error(`${path}: not a report of this version`)
  return report
}

const docsHead = `# Benchmarks

Printed by \`npm run bench -- --docs\` from its JSON; do not edit. Absolute times belong to the
machine and its load; compare the columns of one run.

`

function writeDocs(printed: string): void {
  writeFileSync(join(root, 'docs/benchmarks.md'), `${docsHead}${printed}`)
}

await main(process.argv.slice(2))
