import { ratioText } from '../latency/print.ts'
import type { Measurement } from '../result.ts'
import { median, pairedRatio } from '../statistics.ts'
import { markdownTable } from '../table.ts'
import { isWire } from './world.ts'

/** A table for each workload. */
export function printNorthSouth(measurements: readonly Measurement[]): string {
  return [...new Set(measurements.map(({ workload }) => workload))]
    .map((workload) => {
      const rows = measurements.filter((each) => each.workload === workload)
      return `### ${workload}\n\n${printRows(rows)}`
    })
    .join('\n\n')
}

function printRows(measurements: readonly Measurement[]): string {
  const find = (subject: string, profile: unknown) =>
    measurements.find(
      ({ subject: name, setting }) =>
        name === subject && setting['profile'] === profile && setting['target'] === 'direct',
    )
  const rows = measurements.flatMap(({ subject, setting, samples }) => {
    const profile = setting['profile']!
    const isDirect = setting['target'] === 'direct'
    if (isDirect && !subject.startsWith('bare')) return []
    const own = isDirect ? undefined : find(subject, profile)
    const bare = find(isWire(subject) ? 'bare, wire' : 'bare', profile)
    return [
      [
        ...[String(profile), subject, median(samples).toFixed(1)],
        own ? ratioText(pairedRatio(samples, own.samples)) : '',
        bare && bare.samples !== samples ? ratioText(pairedRatio(samples, bare.samples)) : '',
      ],
    ]
  })
  return markdownTable(['profile', 'what', 'p50 µs', 'of direct', 'of bare'], rows, 2)
}
