import { datapath, type DatapathOptions, type FrontendText, type Node } from './harness.ts'
import { hairpin4, hairpin6 } from './load.ts'
import { frame, type PacketSpec } from './packet.ts'

/** Who plays in most tests, once in each family. */
export interface Cast {
  readonly family: 'IPv4' | 'IPv6'
  readonly client: string
  readonly vip: string
  readonly otherVip: string
  readonly backend: string
  readonly others: readonly string[]
  /** A router between client and backend. */
  readonly router: string
  /** Who is neither VIP nor backend. */
  readonly stranger: string
  readonly hairpin: string
}

export const v4: Cast = {
  family: 'IPv4',
  client: '10.244.0.2:40000',
  vip: '10.96.0.10:80',
  otherVip: '10.96.0.11:80',
  backend: '10.244.1.5:8080',
  others: ['10.244.1.6:8080', '10.244.2.7:8080'],
  router: '10.244.0.1',
  stranger: '10.244.9.9:80',
  hairpin: hairpin4,
}

export const v6: Cast = {
  family: 'IPv6',
  client: '[fd00:244::2]:40000',
  vip: '[fd00:96::10]:80',
  otherVip: '[fd00:96::11]:80',
  backend: '[fd00:244:1::5]:8080',
  others: ['[fd00:244:1::6]:8080', '[fd00:244:2::7]:8080'],
  router: 'fd00:244::1',
  stranger: '[fd00:244:9::9]:80',
  hairpin: hairpin6,
}

export const casts = [v4, v6]

/** The services most tests have: one backend behind a VIP, for TCP and UDP. */
export function oneBackend({ vip, backend }: Cast): NonNullable<DatapathOptions['services']> {
  return { [tcp(vip)]: [backend], [udp(vip)]: [backend] }
}

export function tcp(vip: string): FrontendText {
  return `${vip}/TCP`
}

export function udp(vip: string): FrontendText {
  return `${vip}/UDP`
}

/** From the client to its VIP. */
export function ask({ client, vip }: Cast, rest: Partial<PacketSpec> = { tcp: 'S' }): Buffer {
  return frame({ from: client, to: vip, ...rest })
}

/** From the backend to the client, as it comes to the client's device. */
export function answer({ client, backend }: Cast, rest: Partial<PacketSpec>): Buffer {
  return frame({ from: backend, to: client, ...rest })
}

/** A connection whose handshake is over. */
export function connect(node: Node, cast: Cast): void {
  node.fromPod(ask(cast, { tcp: 'S', seq: 1000 }))
  node.toPod(answer(cast, { tcp: 'SA', seq: 5000, ack: 1001 }))
  node.fromPod(ask(cast, { tcp: 'A', seq: 1001, ack: 5001 }))
  node.counted()
}

/** A question and an answer in datagrams. */
export function converse(node: Node, cast: Cast): void {
  node.fromPod(ask(cast, { udp: true }))
  node.toPod(answer(cast, { udp: true }))
  node.counted()
}

/** The address part of "address:port". */
export function host(end: string): string {
  return end.slice(0, end.lastIndexOf(':')).replace(/^\[|\]$/g, '')
}

/** Clients outside the cluster, and what they and other nodes call this one. */
export interface Outside extends Cast {
  readonly otherClient: string
  readonly nodePort: string
  readonly loadBalancer: string
  /** The node as other nodes know it, in brackets where a port follows. */
  readonly node: string
}

export const outside4: Outside = {
  ...v4,
  client: '192.0.2.9:50000',
  otherClient: '192.0.2.77:50000',
  nodePort: '172.18.0.2:30080',
  loadBalancer: '203.0.113.5:80',
  router: '198.51.100.1',
  node: '172.18.0.2',
}

export const outside6: Outside = {
  ...v6,
  client: '[2001:db8::9]:50000',
  otherClient: '[2001:db8::77]:50000',
  nodePort: '[fd00:18::2]:30080',
  loadBalancer: '[2001:db8:5::5]:80',
  router: '2001:db8:1::1',
  node: '[fd00:18::2]',
}

/** A node with a NodePort and a load balancer's address, all backends on other nodes but `local`. */
export function northSouth(
  outside: Outside,
  options: DatapathOptions & { local?: number } = {},
): Node {
  const { local = 0, ...rest } = options
  const behind = { backends: [outside.backend], local }
  const node = datapath({
    services: {
      [tcp(outside.nodePort)]: { ...behind, ownsAddress: false },
      [udp(outside.nodePort)]: { ...behind, ownsAddress: false },
      [tcp(outside.loadBalancer)]: behind,
      [udp(outside.loadBalancer)]: behind,
    },
    uplinks: true,
    ...rest,
  })
  const name = host(`${outside.node}:0`)
  node.uplink(0, { [outside.family === 'IPv4' ? 'addr4' : 'addr6']: name })
  return node
}

/** A packet through both steps of an uplink, as the host stack routes it: in words what leaves. */
export function passThrough(node: Node, packet: Buffer): string {
  const first = node.fromOutside(packet)
  return first.verdict === 'next' ? node.toOutside(first.frame).text : first.text
}
