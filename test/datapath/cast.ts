import type { DatapathOptions, FrontendText, Node } from './harness.ts'
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
