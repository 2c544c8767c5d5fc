import { programInfo } from '../../src/datapath/native-info.ts'
import type { Benchmark, Measurement } from '../result.ts'
import { Recorder } from '../result.ts'
import { printProgramCost } from './print.ts'
import { openTurner } from './turner.ts'
import { makeWorkloads } from './workloads.ts'

const usualRounds = 15

const notes = [
  'Time of one run by test-run (BPF_PROG_TEST_RUN), mean over a repeat of 200 000 packets; each ' +
    'round measures every row once, one after the other.',
  '"net" is what is left after the floor of the same round: the empty program, or for rows with ' +
    'changing packets an empty program behind the one that writes the next packet.',
  'Every time is refused unless the counters show that all packets took the row’s way.',
  'Flows of 1 repeat one packet: everything is in the cache. With 262 144 flows each packet ' +
    'belongs to another flow, in an order without pattern; once a second (a tick of 1.07 s) a ' +
    'flow’s packet also marks its other half as alive.',
  'A new flow is 16 384 first packets of as many clients. "table with room": the half-open table ' +
    'was emptied before; "table full": it holds earlier clients, so each new one evicts.',
]

/** What a packet costs in the program itself. */
export const programCost: Benchmark = {
  name: 'program',
  title: 'What a packet costs in the program',
  summary: 'cost of a packet in the tc programs, by test-run',
  run(options, say) {
    const turner = openTurner()
    const { workloads, node } = makeWorkloads(turner)
    const recorder = new Recorder()
    const rounds = options.rounds ?? usualRounds
    for (let round = 0; round < rounds; round++) {
      say(`program cost, round ${round + 1} of ${rounds}`)
      for (const { name, flows, floor, measure } of workloads) {
        const sample = measure()
        const about = { benchmark: 'program', subject: 'tc', workload: name, unit: 'ns' } as const
        // a round that missed its moment is no number; NaN keeps the rounds aligned
        recorder.add({ ...about, setting: { flows, floor } }, sample ?? NaN)
      }
    }
    const { ingress, egress } = node.programs
    const facts = [ingress, egress].flatMap(describeProgram)
    return Promise.resolve({ measurements: [...recorder.measurements, ...facts], notes })
  },
  print: printProgramCost,
}

function describeProgram(programFd: number): Measurement[] {
  const { name, verifiedInstructions, translatedBytes, jitedBytes } = programInfo(programFd)
  const about = { benchmark: 'program', subject: name, setting: {} }
  return [
    {
      ...{ ...about, workload: 'instructions the verifier walked', unit: 'instructions' },
      samples: [verifiedInstructions],
    },
    {
      ...{ ...about, workload: 'instructions loaded', unit: 'instructions' },
      samples: [translatedBytes / 8],
    },
    { ...{ ...about, workload: 'machine code', unit: 'bytes' }, samples: [jitedBytes] },
  ]
}
