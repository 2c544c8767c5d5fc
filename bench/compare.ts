import { ratioText } from './latency/print.ts'
import { keyOf, type Report } from './result.ts'
import { median, unpairedRatio } from './statistics.ts'
import { markdownTable } from './table.ts'

/** Every quantity that two reports share: B divided by A, with the interval of the ratio. */
export function compareReports(a: Report, b: Report): string {
  const known = new Map(a.measurements.map((measurement) => [keyOf(measurement), measurement]))
  const rows = b.measurements.flatMap((measurement) => {
    const key = keyOf(measurement)
    const before = known.get(key)
    if (before === undefined) return []
    const [old, now] = [before, measurement].map(({ samples }) => samples.filter(Number.isFinite))
    if (old!.length === 0 || now!.length === 0) return []
    const values = [median(old!), median(now!)].map((value) => value.toFixed(1))
    const ratio =
      old!.length === 1 ? (now![0]! / old![0]!).toFixed(3) : ratioText(unpairedRatio(now!, old!))
    return [[key, ...values, measurement.unit, ratio]]
  })
  const about = [a, b].map(
    ({ started, machine }, at) =>
      `- ${at === 0 ? 'A' : 'B'}: ${started}, commit ${machine.commit}, ${machine.processor}, ` +
      `load ${machine.loadBefore}`,
  )
  const missing = [
    ...onlyIn(a, b).map((key) => `- only in A: ${key}`),
    ...onlyIn(b, a).map((key) => `- only in B: ${key}`),
  ]
  const table = markdownTable(['what', 'A', 'B', 'unit', 'B / A'], rows)
  return [...about, '', table, ...(missing.length > 0 ? ['', ...missing] : []), ''].join('\n')
}

function onlyIn(one: Report, other: Report): string[] {
  const known = new Set(other.measurements.map(keyOf))
  return one.measurements.map(keyOf).filter((key) => !known.has(key))
}
