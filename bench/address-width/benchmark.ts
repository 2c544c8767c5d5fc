import { join } from 'node:path'
import { testRun } from '../../src/datapath/native-run.ts'
import { compile } from '../compile.ts'
import type { Benchmark, Measurement } from '../result.ts'
import { Recorder } from '../result.ts'
import { median } from '../statistics.ts'
import { markdownTable } from '../table.ts'

const usualRounds = 25
const repeat = 500_000

const programs = { empty: 'empty program', narrow_hit: '16-byte key', wide_hit: '40-byte key' }

/** What a 16-byte address costs in a flow key: docs/adr/0003. */
export const addressWidth: Benchmark = {
  name: 'address-width',
  title: 'Address width in keys',
  summary: 'one LRU lookup with 4-byte and with 16-byte addresses',
  run(options, say) {
    const object = compile(join(import.meta.dirname, 'lookup.bpf.c'))
    object.load()
    const recorder = new Recorder()
    const rounds = options.rounds ?? usualRounds
    const data = Buffer.alloc(60)
    say(`address width, ${rounds} rounds`)
    for (let round = 0; round < rounds; round++) {
      for (const [program, workload] of Object.entries(programs)) {
        const { duration } = testRun({ programFd: object.programFd(program), data, repeat })
        recorder.add(
          { benchmark: 'address-width', subject: 'lookup', workload, setting: {}, unit: 'ns' },
          duration,
        )
      }
    }
    const notes = [
      'One lookup in an LRU hash of 524 288 entries, the same key each time; mean of 500 000 runs ' +
        'a round, rounds taking turns.',
    ]
    return Promise.resolve({ measurements: recorder.measurements, notes })
  },
  print: printAddressWidth,
}

function printAddressWidth(measurements: readonly Measurement[]): string {
  const empty = measurements.find(({ workload }) => workload === programs.empty)
  const rows = measurements.map((measurement) => {
    const { workload, samples } = measurement
    const net = samples.map((sample, round) => sample - (empty?.samples[round] ?? 0))
    const isFloor = measurement === empty
    return [
      workload,
      Math.min(...samples).toFixed(0),
      median(samples).toFixed(0),
      isFloor ? 'floor' : median(net).toFixed(0),
    ]
  })
  return markdownTable(['ns a run', 'min', 'median', 'net median'], rows)
}
