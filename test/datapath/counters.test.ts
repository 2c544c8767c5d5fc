import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { counterNames, type CounterName } from '../../src/datapath/abi.ts'
import { testRunAsync } from '../../src/datapath/native-run.ts'
import {
  answer,
  ask,
  connect,
  host,
  northSouth,
  oneBackend,
  outside4,
  passThrough,
  tcp,
  udp,
  v4,
} from './cast.ts'
import { datapath, type DatapathOptions, type Node } from './harness.ts'
import { frame, icmpError, ipOf } from './packet.ts'
import { knowHop, wired, type Wired } from './wired.ts'

interface Scene {
  /** No packet of a test makes it move. */
  readonly isOutOfReach?: boolean
  readonly options?: DatapathOptions
  /** Where the node is not one that pods talk to a single backend through. */
  readonly make?: () => Node
  readonly play: (node: Node) => unknown
}

const { client, vip, otherVip, backend, others } = v4
const services = oneBackend(v4)
const noBackend = { services: { [tcp(vip)]: [], [udp(vip)]: [] } }
const selfish = { ...v4, client: backend.replace('8080', '40000') }
const fromOutside = frame({ from: outside4.client, to: outside4.nodePort, tcp: 'S' })
const later = { fragment: { id: 4, offset: 64, more: false }, rest: Buffer.alloc(24) }

/** A node whose XDP program knows the way of a flow. */
let direct: Wired
function makeDirect(): Node {
  const { client: outer, nodePort, node: asNode } = outside4
  direct = wired(outside4)
  passThrough(direct.node, fromOutside)
  passThrough(direct.node, frame({ from: backend, to: `${asNode}:50000`, tcp: 'SA' }))
  knowHop(direct.node, [`${outer} > ${nodePort}`, `${backend} > ${asNode}:50000`])
  return direct.node
}

/** What makes each counter move; the type demands a scene for each. */
const scenes: Readonly<Record<CounterName, Scene>> = {
  forward: { play: (node) => node.fromPod(ask(v4)) },
  reverse: {
    play(node) {
      node.fromPod(ask(v4))
      node.toPod(answer(v4, { tcp: 'SA' }))
    },
  },
  xdp_forward: { make: makeDirect, play: () => direct.xdp(fromOutside) },
  xdp_reverse: {
    make: makeDirect,
    play: () => direct.xdp(frame({ from: backend, to: `${outside4.node}:50000`, tcp: 'SA' })),
  },
  flow_created: { play: (node) => node.fromPod(ask(v4)) },
  flow_promoted: {
    play(node) {
      node.fromPod(ask(v4))
      node.toPod(answer(v4, { tcp: 'SA' }))
      node.fromPod(ask(v4, { tcp: 'A' }))
    },
  },
  flow_twin_rebuilt: {
    play(node) {
      connect(node, v4)
      node.tables.forget(`${client} > ${vip}`)
      node.fromPod(ask(v4, { tcp: 'A' }))
    },
  },
  flow_choice_repeated: { play: (node) => node.fromPod(ask(v4, { tcp: 'A' })) },
  flow_port_changed: {
    options: { services: { ...services, [tcp(otherVip)]: [backend] } },
    play(node) {
      node.fromPod(ask(v4))
      node.fromPod(ask({ ...v4, vip: otherVip }))
    },
  },
  flow_snat: {
    make: () => northSouth(outside4),
    play: (node) => passThrough(node, fromOutside),
  },
  flow_own: {
    make: () => northSouth(outside4),
    play: (node) =>
      node.toOutside(frame({ from: outside4.nodePort, to: '192.0.2.53:53', udp: true })),
  },
  flow_reused: {
    play(node) {
      connect(node, v4)
      node.fromPod(ask(v4, { tcp: 'RA' }))
      node.fromPod(ask(v4, { tcp: 'S' }))
    },
  },
  flow_backend_gone: {
    play(node) {
      node.fromPod(ask(v4, { udp: true }))
      node.publish(udp(vip), others)
      node.kill(udp(vip), backend)
      node.fromPod(ask(v4, { udp: true }))
    },
  },
  flow_expired: {
    play(node) {
      node.fromPod(ask(v4))
      node.tables.age(1000)
      node.fromPod(ask(v4))
    },
  },
  hairpin: { play: (node) => node.fromPod(ask(selfish)) },
  icmp_translated: {
    play(node) {
      const about = ipOf(node.fromPod(ask(v4, { udp: true })).frame)
      node.toPod(icmpError({ from: host(backend), to: host(client), type: 3, code: 3, about }))
    },
  },
  fragment_translated: {
    play(node) {
      node.fromPod(ask(v4, { udp: true, fragment: { id: 4, offset: 0, more: true } }))
      node.fromPod(ask(v4, { udp: true, ...later }))
    },
  },
  midflow_passed: {
    play(node) {
      node.grace(60)
      node.fromPod(ask(v4, { tcp: 'A' }))
    },
  },
  reject_no_endpoint: { options: noBackend, play: (node) => node.fromPod(ask(v4)) },
  reject_unused_port: { play: (node) => node.fromPod(ask({ ...v4, vip: '10.96.0.10:81' })) },
  reject_midflow: { options: noBackend, play: (node) => node.fromPod(ask(v4, { tcp: 'A' })) },
  drop_malformed: { play: (node) => node.fromPod(ask(v4, { tcp: 'SF' })) },
  drop_no_local_endpoint: {
    options: { services: { [tcp(vip)]: { backends: [backend], localOnly: true } } },
    play: (node) => node.fromPod(ask(v4)),
  },
  drop_backend_stale: {
    play(node) {
      node.writeWord(node.indexOf(tcp(vip)), { base: 3 * 128, count: 1 })
      node.fromPod(ask(v4))
    },
  },
  drop_midflow_reset: { play: (node) => node.fromPod(ask(v4, { tcp: 'R' })) },
  drop_flow_insert: {
    // The table is so small that another CPU evicts a flow before its first packet can use it.
    options: { services, entries: { half_open: 1 } },
    async play(node) {
      const programFd = node.programs.ingress
      const packets = Array.from({ length: 64 }, (_, at) =>
        frame({ from: `10.244.0.2:${41000 + at}`, to: vip, tcp: 'S' }),
      )
      /* A race of two CPUs: on a busy machine it takes its time. */
      const end = performance.now() + 30_000
      while (performance.now() < end && !node.tables.peek('drop_flow_insert'))
        await Promise.all(packets.map((data) => testRunAsync({ programFd, data })))
    },
  },
  drop_tuple_taken: {
    options: { services: { ...services, [tcp(otherVip)]: [backend] }, entries: { flows: 65536 } },
    play(node) {
      connect(node, v4)
      const taken = node.tables.entry(`${backend} > ${client}`)
      for (let dport = 33000; dport < 65000; dport++)
        node.tables.put('flows', { ...taken.key, dport }, { ...taken.flow, dport })
      node.fromPod(ask({ ...v4, vip: otherVip }))
    },
  },
  drop_snat_exhausted: {
    make: () => northSouth(outside4, { globals: { snat_port_first: 5, snat_port_last: 5 } }),
    play(node) {
      passThrough(node, fromOutside)
      passThrough(node, frame({ from: backend, to: `${outside4.node}:5`, tcp: 'SA' }))
      passThrough(node, frame({ from: outside4.client, to: outside4.nodePort, tcp: 'A' }))
      node.fromOutside(frame({ from: outside4.otherClient, to: outside4.nodePort, tcp: 'S' }))
    },
  },
  drop_snat_no_address: {
    make: () => northSouth(outside4),
    play(node) {
      node.uplink(0, {})
      node.fromOutside(fromOutside)
    },
  },
  drop_host_to_itself: {
    make() {
      const node = northSouth(outside4)
      node.publish(tcp(outside4.loadBalancer), ['127.0.0.5:80'])
      return node
    },
    play(node) {
      const { node: asNode, loadBalancer } = outside4
      node.toOutside(frame({ from: `${asNode}:40000`, to: loadBalancer, tcp: 'S' }))
    },
  },
  drop_source_range: {
    options: { services: { [tcp(vip)]: { backends: [backend], sourceRanges: [] } } },
    play: (node) => node.fromPod(ask(v4)),
  },
  drop_unallocated_vip: {
    play(node) {
      node.network([], [['10.96.0.0', 'ffff:ffff:ffff:ffff:ffff:ffff:fff0:0']])
      node.fromPod(ask({ ...v4, vip: '10.99.0.1:80' }))
    },
  },
  drop_fragment: { play: (node) => node.fromPod(ask(v4, { udp: true, ...later })) },
  drop_rewrite: { isOutOfReach: true, play: () => undefined }, // only if the kernel refuses a helper
  drop_reject_limited: {
    options: { ...noBackend, globals: { reject_burst: 1, reject_rate: 1 } },
    play(node) {
      node.fromPod(ask(v4))
      node.fromPod(frame({ from: '10.244.0.2:40001', to: vip, tcp: 'S' }))
    },
  },
  drop_reject_failed: {
    options: noBackend,
    play: (node) => node.fromPod(ask(v4, { tcp: 'S', ipOptions: Buffer.alloc(4, 1) })),
  },
}

describe('every counter', () => {
  for (const name of counterNames) {
    test(`${name} moves when what it counts happens`, async () => {
      const { options = { services }, make = () => datapath(options), play } = scenes[name]
      const node = make()
      await play(node)
      const moved = (node.counted()[name] ?? 0) > 0
      assert.equal(moved, scenes[name].isOutOfReach !== true, name)
    })
  }

  test('of drops stands for one dropped packet', () => {
    const drops = counterNames.filter((name) => name.startsWith('drop_'))
    const within = drops.filter((drop) => scenes[drop].isOutOfReach !== true)
    for (const name of within.filter((drop) => drop !== 'drop_flow_insert')) {
      const { options = { services }, make = () => datapath(options), play } = scenes[name]
      const node = make()
      void play(node)
      assert.equal(node.counted()[name], 1, name)
    }
  })
})
