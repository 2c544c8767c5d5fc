import type { Measurement } from '../result.ts'
import { median } from '../statistics.ts'
import { markdownTable } from '../table.ts'

/** The cost of each workload above its floor, and the size of the programs. */
export function printProgramCost(measurements: readonly Measurement[]): string {
  const times = measurements.filter(({ unit }) => unit === 'ns')
  const rows = times.map((measurement) => {
    const samples = measurement.samples.filter((sample) => Number.isFinite(sample))
    const net = netSamples(measurement, times)
    const { flows = 1 } = measurement.setting
    return [
      measurement.workload,
      Number(flows) >= 2 ** 24 ? 'always new' : Number(flows).toLocaleString('en'),
      Math.min(...samples).toFixed(0),
      median(samples).toFixed(0),
      ...(net === undefined
        ? ['floor', '']
        : [Math.min(...net).toFixed(0), median(net).toFixed(0)]),
    ]
  })
  const header = ['ns a packet', 'flows', 'min', 'median', 'net min', 'net median']
  return `${markdownTable(header, rows)}\n\n${printPrograms(measurements)}`
}

/**
 * What is left of each round after the floor of the same round; undefined for floors themselves.
 * A floor with as many flows is the better one.
 */
function netSamples(
  { workload, samples, setting }: Measurement,
  times: readonly Measurement[],
): number[] | undefined {
  const floors = times.filter((time) => time.workload === setting['floor'])
  if (floors.some((floor) => floor.workload === workload)) return undefined
  const floor = floors.find((each) => each.setting['flows'] === setting['flows']) ?? floors[0]
  if (floor === undefined) return undefined
  return samples
    .map((sample, round) => sample - floor.samples[round]!)
    .filter((net) => Number.isFinite(net))
}

function printPrograms(measurements: readonly Measurement[]): string {
  const facts = measurements.filter(({ unit }) => unit !== 'ns')
  const workloads = [...new Set(facts.map(({ workload }) => workload))]
  const programs = [...new Set(facts.map(({ subject }) => subject))]
  const rows = programs.map((program) => [
    program,
    ...workloads.map((workload) => {
      const fact = facts.find((each) => each.subject === program && each.workload === workload)
      return fact === undefined ? '' : fact.samples[0]!.toLocaleString('en')
    }),
  ])
  const units = new Map(facts.map(({ workload, unit }) => [workload, unit]))
  const titles = workloads.map((workload) =>
    units.get(workload) === 'bytes' ? `${workload}, bytes` : workload,
  )
  return markdownTable(['program', ...titles], rows)
}
