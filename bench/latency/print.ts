import type { Measurement } from '../result.ts'
import { isNoDifference, median, pairedRatio, type Interval } from '../statistics.ts'
import { markdownTable } from '../table.ts'

const titles: Readonly<Record<string, string>> = {
  crr: 'Connect, request, answer (crr)',
  rr: 'Request and answer on an open connection (rr)',
}

/** A table for each workload and number of Services. */
export function printLatency(measurements: readonly Measurement[]): string {
  const tables: string[] = []
  for (const workload of unique(measurements.map((each) => each.workload))) {
    const ofWorkload = measurements.filter((each) => each.workload === workload)
    for (const services of unique(ofWorkload.map(({ setting }) => setting['services']!))) {
      const rows = ofWorkload.filter(({ setting }) => setting['services'] === services)
      tables.push(`### ${titles[workload] ?? workload}, ${services} Services\n\n${printRows(rows)}`)
    }
  }
  return tables.join('\n\n')
}

function printRows(measurements: readonly Measurement[]): string {
  const rows = measurements.filter(isCompared).map((measurement) => {
    const { setting, subject, samples } = measurement
    const direct = find(measurements, measurement, subject)
    const bare = find(measurements, measurement, 'none')
    const isOwnDirect = direct === measurement
    return [
      `${setting['profile']!}, ${setting['placement']!}`,
      titleOf(subject),
      median(samples).toFixed(1),
      direct === undefined || isOwnDirect ? '' : median(direct.samples).toFixed(1),
      ratioCell(samples, isOwnDirect ? undefined : direct?.samples),
      ratioCell(samples, bare?.samples),
    ]
  })
  const header = ['where', 'what', 'p50 µs', 'direct µs', 'of direct', 'of bare']
  return markdownTable(header, rows, 2)
}

/** VIPs, the bare cluster against itself, and the second bare cluster against the first. */
function isCompared({ subject, setting }: Measurement): boolean {
  return (setting['target'] === 'direct') === (subject === 'none again')
}

function titleOf(subject: string): string {
  if (subject === 'none') return 'bare, again'
  return subject === 'none again' ? 'bare, second cluster' : `${subject}, VIP`
}

/** The direct measurement of a subject in the same circumstances. */
function find(
  measurements: readonly Measurement[],
  { setting }: Measurement,
  subject: string,
): Measurement | undefined {
  return measurements.find(
    (each) =>
      each.subject === subject &&
      each.setting['target'] === 'direct' &&
      each.setting['profile'] === setting['profile'] &&
      each.setting['placement'] === setting['placement'],
  )
}

function ratioCell(samples: readonly number[], of: readonly number[] | undefined): string {
  return of === undefined ? '' : ratioText(pairedRatio(samples, of))
}

/** "1.031 [1.022, 1.043]", and in words when there may be no difference. */
export function ratioText(ratio: Interval): string {
  const text = `${ratio.middle.toFixed(3)} [${ratio.low.toFixed(3)}, ${ratio.high.toFixed(3)}]`
  return isNoDifference(ratio) ? `${text} no difference` : text
}

function unique<Value>(values: readonly Value[]): Value[] {
  return [...new Set(values)]
}
