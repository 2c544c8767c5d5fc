import { existsSync } from 'node:fs'
import { release } from 'node:os'
import {
  hasHelper,
  hasMapType,
  hasMmapableArrays,
  hasProgramType,
  hasTcx,
  helpers,
  mapTypes,
  programTypes,
} from '../datapath/native-probe.ts'
import { messageOf } from '../errors.ts'
import { readText, type Finding } from './finding.ts'

interface Probe {
  readonly feature: string
  readonly ask: () => boolean
  /** What its absence means. */
  readonly absent: Finding['verdict']
  readonly meaning: string
}

const { tc, xdp, cgroupSockAddr } = programTypes
const needed = { absent: 'missing', meaning: 'needed for the packet programs' } as const

const probes: readonly Probe[] = [
  { feature: 'tc programs', ask: () => hasProgramType(tc), ...needed },
  { feature: 'hash maps', ask: () => hasMapType(mapTypes.hash), ...needed },
  { feature: 'array maps', ask: () => hasMapType(mapTypes.array), ...needed },
  { feature: 'LRU hash maps', ask: () => hasMapType(mapTypes.lruHash), ...needed },
  {
    feature: 'tcx links (6.6)',
    ask: hasTcx,
    absent: 'note',
    meaning: 'classic tc filters are used instead',
  },
  {
    feature: 'mapped arrays (5.5)',
    ask: hasMmapableArrays,
    absent: 'note',
    meaning: 'a publication costs a system call',
  },
  {
    feature: 'coarse clock in programs (5.11)',
    ask: () => hasHelper(tc, helpers.ktimeGetCoarseNs),
    absent: 'note',
    meaning: 'a slower clock is read',
  },
  {
    feature: 'map walk in programs (5.13)',
    ask: () => hasHelper(tc, helpers.forEachMapElem),
    absent: 'note',
    meaning: 'expired flows are removed by packets alone',
  },
  {
    feature: 'XDP programs',
    ask: () => hasProgramType(xdp),
    absent: 'note',
    meaning: 'no XDP (not used yet)',
  },
  {
    feature: 'cgroup socket programs',
    ask: () => hasProgramType(cgroupSockAddr),
    absent: 'note',
    meaning: 'no translation at the socket (not used yet)',
  },
  {
    feature: 'redirect to peer (5.10)',
    ask: () => hasHelper(tc, helpers.redirectPeer),
    absent: 'note',
    meaning: 'no fast forwarding (not used yet)',
  },
]

/** What this kernel can do, found by trying. */
export function checkKernel(): Finding[] {
  return [
    { verdict: 'ok', feature: 'kernel', detail: release() },
    checkJit(),
    checkTypes(),
    ...probes.map(runProbe),
  ]
}

function runProbe({ feature, ask, absent, meaning }: Probe): Finding {
  try {
    if (ask()) return { verdict: 'ok', feature, detail: 'works' }
    return { verdict: absent, feature, detail: `absent: ${meaning}` }
  } catch (error) {
    return { verdict: absent, feature, detail: `could not be tried: ${messageOf(error)}` }
  }
}

function checkJit(): Finding {
  const feature = 'BPF compiler'
  const value = readText('/proc/sys/net/core/bpf_jit_enable')
  if (value === undefined || value !== '0') return { verdict: 'ok', feature, detail: 'on' }
  return { verdict: 'warning', feature, detail: 'off: slow (sysctl net.core.bpf_jit_enable=1)' }
}

function checkTypes(): Finding {
  const feature = 'kernel BTF'
  if (existsSync('/sys/kernel/btf/vmlinux')) return { verdict: 'ok', feature, detail: 'there' }
  return { verdict: 'note', feature, detail: 'absent: not needed by the programs in use now' }
}
