import { measureLatency } from '../../test/cluster/traffic.ts'
import type { BenchOptions, Benchmark, Measurement } from '../result.ts'
import { Recorder } from '../result.ts'
import { printLatency } from './print.ts'
import { buildWorld, isBare, placements, subjects } from './world.ts'
import type { Placement, World } from './world.ts'

const usualRounds = 20
const modes = { crr: { count: 250, warmup: 20 }, rr: { count: 1000, warmup: 50 } } as const
type Mode = keyof typeof modes

const notes = [
  'p50 of a round of 250 connections (crr: connect, request, answer; closing is not timed) or ' +
    '1000 questions on an open connection (rr), TCP, IPv4, one at a time. Medians over rounds, in ' +
    'brackets the 95 % confidence interval of a bootstrap over rounds.',
  'Each subject has a two-node cluster of its own; within a round they take turns, in another ' +
    'order each time, and within a cluster direct and VIP take turns with every connection or ' +
    'question.',
  '"of direct": VIP against the pod’s own address in the cluster of the same subject. "of bare": ' +
    'against the pod’s own address in a cluster without any service proxy. What chance does is ' +
    'seen in "bare, again", the same bare address under a second name, for the one, and in ' +
    '"bare, second cluster" for the other.',
  'kube-shunt: kube-shunt agents, tc programs, forwarding by the host stack. iptables, nftables: ' +
    'the rules that kube-proxy 1.36 writes (iptables-legacy; nft), on both nodes, without ' +
    'kube-proxy itself. They switch connection tracking on for all of the node’s traffic, so ' +
    'their own direct traffic is slower too, and on a bridge they need ' +
    'net.bridge.bridge-nf-call-iptables=1. Neither is so for kube-shunt.',
]

/** What a connection and a question cost through a VIP, compared with the pod itself. */
export const latency: Benchmark = {
  name: 'latency',
  title: 'Latency through a Service',
  summary: 'VIP against pod address, kube-shunt against kube-proxy’s rules, in real clusters',
  async run(options, say) {
    const recorder = new Recorder()
    for (const profile of options.profiles) {
      for (const services of options.services)
        await measureProfile({ ...options, profile, services }, recorder, say)
    }
    return { measurements: recorder.measurements, notes }
  },
  print: printLatency,
}

interface ProfileOptions extends Omit<BenchOptions, 'services'> {
  readonly profile: 'bridge' | 'ptp'
  readonly services: number
}

async function measureProfile(
  options: ProfileOptions,
  recorder: Recorder,
  say: (progress: string) => void,
): Promise<void> {
  const { profile, services } = options
  const rounds = options.rounds ?? usualRounds
  const worlds: World[] = []
  try {
    for (const subject of subjects) {
      say(`latency, ${profile}, ${services} Services: building ${subject}`)
      worlds.push(await buildWorld({ subject, profile, services }))
    }
    for (let round = 0; round < rounds; round++) {
      say(`latency, ${profile}, ${services} Services: round ${round + 1} of ${rounds}`)
      const turn = round % worlds.length
      const order = [...worlds.slice(turn), ...worlds.slice(0, turn)]
      for (const mode of ['crr', 'rr'] as const) {
        for (const placement of placements) {
          for (const world of order) await measure({ world, mode, placement }, recorder)
        }
      }
    }
  } finally {
    for (const world of worlds) await world.close()
  }
}

interface Case {
  readonly world: World
  readonly mode: Mode
  readonly placement: Placement
}

async function measure({ world, mode, placement }: Case, recorder: Recorder): Promise<void> {
  const { profile, services, subject } = world
  const { direct, vip } = world.targets[placement]
  const targets = { direct, ...(isBare(subject) ? { again: direct } : { vip }) }
  const reports = await measureLatency(world.client, targets, { mode, ...modes[mode] })
  for (const { target, errors, latencyUs } of reports) {
    if (errors > 0) throw new Error(`${subject}, ${profile}, ${target}: ${errors} errors`)
    const about: Omit<Measurement, 'samples'> = {
      ...{ benchmark: 'latency', subject, workload: mode, unit: 'µs' },
      setting: { profile, placement, services, target },
    }
    recorder.add(about, latencyUs.p50)
  }
}
