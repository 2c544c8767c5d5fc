import { benchmarks } from './benchmarks.ts'
import type { Report } from './result.ts'

/** The whole report as Markdown: nothing that is not in the report. */
export function printReport(report: Report): string {
  const { machine } = report
  const sections = benchmarks.flatMap((benchmark) => {
    const measurements = report.measurements.filter((each) => each.benchmark === benchmark.name)
    if (measurements.length === 0) return []
    const notes = (report.notes[benchmark.name] ?? []).map((note) => `- ${note}`)
    return [`## ${benchmark.title}\n\n${benchmark.print(measurements)}\n\n${notes.join('\n')}`]
  })
  const facts = [
    `- ${machine.processor}, ${machine.cpus} CPUs; ${machine.distribution}, Linux ${machine.kernel}`,
    `- Node ${machine.node}; ${machine.clang}; commit ${machine.commit}`,
    `- ${report.started}, ${report.seconds.toFixed(0)} s; load average before ${machine.loadBefore}, after ${machine.loadAfter}`,
    `- \`${report.command}\``,
  ]
  return `${facts.join('\n')}\n\n${sections.join('\n\n')}\n`
}
