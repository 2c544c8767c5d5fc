import { flowFlag, tickShift } from '../../src/datapath/abi.ts'
import { apply } from '../../src/datapath/apply.ts'
import { ktimeCoarse } from '../../src/datapath/native-system.ts'
import { frontendKey, vipKey } from '../../src/model/types.ts'
import { UNUSED_PORT, type MapOp } from '../../src/plan/image.ts'
import type { Flow, FlowKey, PinnedRoot } from './pinned-root.ts'

export const dns = { address: '10.96.0.10', port: 53, protocol: 'UDP' } as const
export const web = { address: 'fd00::10', port: 80, protocol: 'TCP' } as const
export const here = { id: 1, generation: 4, address: '10.244.1.5', port: 5353, local: true }
export const there = { id: 2, generation: 1, address: '10.244.2.7', port: 5353, local: false }
export const leaving = { id: 3, generation: 1, address: '10.244.3.9', port: 5353, local: false }
export const six = { id: 5, generation: 1, address: 'fd01::5', port: 8080, local: true }
const sixAway = { id: 6, generation: 1, address: 'fd01::6', port: 8080, local: false }

const word = {
  affinity: false,
  affinitySeconds: 0,
  localOnly: false,
  externalLocalOnly: false,
  hasRanges: false,
  maglev: false,
}
const dnsSet = { base: 4, count: 2, local: 1, generation: 3 }
const webSet = { base: 8, count: 2, local: 1, generation: 4 }
const webPolicy = { localOnly: true, externalLocalOnly: true, hasRanges: true }
const ops: readonly MapOp[] = [
  ...[here, there, leaving, six, sixAway].map(({ id, generation }): MapOp => ({
    kind: 'state',
    id,
    generation,
    alive: true,
  })),
  { kind: 'slots', index: 1, base: 4, slots: [here, there, leaving] },
  { kind: 'slots', index: 2, base: 8, slots: [six, sixAway] },
  { kind: 'name', index: 1, frontend: 'ClusterIP', text: 'kube-system/kube-dns:dns' },
  { kind: 'name', index: 2, frontend: 'NodePort', text: 'default/web' },
  { kind: 'range', index: 2, range: 'fd00::/8' },
  { kind: 'range', index: 1, range: '10.0.0.0/8' },
  {
    kind: 'word',
    index: 1,
    text: '',
    word: {
      ...word,
      ...dnsSet,
      external: dnsSet,
      affinity: true,
      affinitySeconds: 60,
    },
  },
  {
    kind: 'word',
    index: 2,
    text: '',
    word: { ...word, ...webSet, external: webSet, ...webPolicy },
  },
  { kind: 'key', key: vipKey(dns.address), index: UNUSED_PORT },
  { kind: 'key', key: frontendKey(dns.address, dns.port, dns.protocol), index: 1 },
  { kind: 'key', key: frontendKey(web.address, web.port, web.protocol), index: 2 },
]

const ticks = (): number => Number(ktimeCoarse() >> BigInt(tickShift))

function keyFrom(
  client: { readonly address: string; readonly port: number },
  vip: typeof dns | typeof web,
): FlowKey {
  const { address: saddr, port: sport } = client
  return {
    saddr,
    sport,
    daddr: vip.address,
    dport: vip.port,
    proto: vip.protocol === 'TCP' ? 6 : 17,
  }
}

function flowTo(target: typeof here, frontend: number, flags: number): Flow {
  return {
    saddr: target.address.includes(':') ? 'fd01::99' : '10.244.1.99',
    daddr: target.address,
    sport: 4000,
    dport: target.port,
    last_seen: ticks(),
    frontend,
    backend: target.id,
    backend_generation: target.generation,
    address_delta: 0,
    port_delta: 0,
    flags,
    dmac: [0, 0, 0, 0, 0, 0],
  }
}

/** Programs two frontends, four flows and a counter. */
export function fillRoot(root: PinnedRoot): void {
  apply(ops, root.maps)
  const replied = flowFlag.FLOW_REPLIED
  const client4 = { address: '10.244.1.99', port: 4000 }
  const from6 = (port: number): FlowKey => keyFrom({ address: 'fd01::99', port }, web)
  root.setFlow('flows', keyFrom(client4, dns), flowTo(here, 1, replied))
  root.setFlow(
    'flows',
    {
      saddr: here.address,
      sport: here.port,
      daddr: client4.address,
      dport: client4.port,
      proto: 17,
    },
    {
      ...flowTo(here, 1, replied | flowFlag.FLOW_REVERSE),
      saddr: dns.address,
      daddr: '10.244.1.99',
    },
  )
  root.setFlow('flows', from6(4001), flowTo(six, 2, replied))
  root.setFlow('flows', from6(4002), flowTo(six, 2, replied | flowFlag.FLOW_FIN_FORWARD))
  root.setFlow('half_open', from6(4003), flowTo(six, 2, 0))
  root.setCounter('drop_malformed', 3n)
}
