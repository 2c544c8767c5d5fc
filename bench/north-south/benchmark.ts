import { measureLatency } from '../../test/cluster/traffic.ts'
import { Recorder, type Benchmark } from '../result.ts'
import { printNorthSouth } from './print.ts'
import { buildWorld, subjects, type World } from './world.ts'

const usualRounds = 10
const workloads = {
  crr: { mode: 'crr', count: 250, warmup: 20 },
  rr: { mode: 'rr', count: 1000, warmup: 50 },
  bulk: { mode: 'rr', count: 20, warmup: 3, ask: 'send 1000000' },
} as const

const notes = [
  'A client on the LAN, TCP, IPv4, one at a time; the backend is a pod of node 2, all packets pass ' +
    'node 1 both ways. p50 of a round of 250 connections (crr), 1000 questions on an open ' +
    'connection (rr) or 20 answers of 1 MB (bulk: more µs is less throughput). Medians over ' +
    'rounds, in brackets the 95 % interval of a bootstrap over rounds.',
  'Each subject has a two-node cluster of its own, in turns, in another order each round; direct ' +
    'and NodePort take turns with every connection or question. "of direct": against the pod’s ' +
    'own address by node 1 in the same cluster. "of bare": against that in a cluster without proxy.',
  '"wire": checksums computed and segments cut on uplinks, which XDP needs, with bare to match. ' +
    'netfilter: one nftables rule to translate and one to masquerade. redirect and mark and ' +
    'masquerade are the least that these ways can cost (bench/north-south/ways.bpf.c), no product.',
]

/** What a client outside pays for a backend on another node: docs/adr/0010. */
export const northSouth: Benchmark = {
  name: 'north-south',
  title: 'From outside to a backend on another node',
  summary: 'NodePort against pod address: own ports, redirect, XDP, mark and masquerade, netfilter',
  async run(options, say) {
    const recorder = new Recorder()
    for (const profile of options.profiles) {
      const worlds: World[] = []
      try {
        for (const subject of subjects) {
          say(`north-south, ${profile}: building ${subject}`)
          worlds.push(await buildWorld(subject, profile))
        }
        for (let round = 0; round < (options.rounds ?? usualRounds); round++) {
          say(`north-south, ${profile}: round ${round + 1}`)
          const turn = round % worlds.length
          await measureRound([...worlds.slice(turn), ...worlds.slice(0, turn)], recorder)
        }
      } finally {
        for (const world of worlds) await world.close()
      }
    }
    return { measurements: recorder.measurements, notes }
  },
  print: printNorthSouth,
}

async function measureRound(worlds: readonly World[], recorder: Recorder): Promise<void> {
  for (const [workload, options] of Object.entries(workloads))
    for (const { subject, profile, client, targets } of worlds)
      for (const { target, errors, latencyUs } of await measureLatency(client, targets, options)) {
        if (errors > 0) throw new Error(`${subject}, ${profile}, ${target}: ${errors} errors`)
        const about = { benchmark: 'north-south', subject, workload, unit: 'µs' } as const
        recorder.add({ ...about, setting: { profile, target } }, latencyUs.p50)
      }
}
