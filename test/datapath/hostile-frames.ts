import { sum16 } from './checksum.ts'
import { host, type Outside } from './cast.ts'
import { frame, icmpError, ipOf, type PacketSpec } from './packet.ts'

type Change = (bytes: Buffer, l3: number, l4: number) => Buffer | undefined

/** A way to break a frame: what the packet claims, and bytes changed behind its back. */
export interface Shape {
  readonly name: string
  readonly spec: Partial<PacketSpec>
  readonly change?: Change
}

const poke =
  (at: (l3: number, l4: number) => number, ...values: readonly number[]): Change =>
  (bytes, l3, l4) => {
    values.forEach((value, index) => bytes.writeUInt8(value, at(l3, l4) + index))
    return undefined
  }
const cut =
  (at: (l3: number, l4: number) => number): Change =>
  (bytes, l3, l4) =>
    bytes.subarray(0, at(l3, l4))
const fill =
  (at: (l3: number, l4: number) => number, value: number): Change =>
  (bytes, l3, l4) =>
    bytes.fill(value, at(l3, l4))
const long = { payload: Buffer.alloc(64, 7) }

/** Frames that no honest stack sends, or only a strange one. */
export const shapes: readonly Shape[] = [
  ...['', 'S', 'A', 'SA', 'SF', 'SR', 'SFRPA', 'FP', 'R', 'F'].map((tcp) => ({
    name: `TCP flags [${tcp}]`,
    spec: { tcp, ...long },
  })),
  ...[0, 4, 6, 15].map((tcpWords) => ({
    name: `a TCP header of ${tcpWords} words`,
    spec: { tcp: 'S', claim: { tcpWords } },
  })),
  ...[0, 7, 9, 65_535].map((udpLength) => ({
    name: `a UDP length of ${udpLength}`,
    spec: { udp: true, claim: { udpLength } },
  })),
  ...[0, 1, 19, 39, 41, 65_535].map((ipLength) => ({
    name: `an IP length of ${ipLength}`,
    spec: { tcp: 'A', claim: { ipLength } },
  })),
  ...[0, 5, 7, 15].map((ipVersion) => ({
    name: `IP version ${ipVersion}`,
    spec: { tcp: 'A', claim: { ipVersion } },
  })),
  ...[0, 1, 2, 41, 47, 50, 255].map((protocol) => ({
    name: `protocol ${protocol}`,
    spec: { tcp: 'A', claim: { protocol } },
  })),
  ...[0, 1, 2, 255].map((ttl) => ({ name: `${ttl} hops left`, spec: { tcp: 'A', ttl } })),
  { name: 'a TCP port of 0', spec: { tcp: 'S' }, change: poke((_, l4) => l4, 0, 0) },
  { name: 'from itself to itself', spec: { udp: true }, change: land },
  { name: 'no UDP checksum', spec: { udp: true, udpChecksum: 'zero' } },
  { name: 'a wrong checksum', spec: { tcp: 'A' }, change: poke((_, l4) => l4 + 16, 1, 2) },
  { name: 'another EtherType', spec: { tcp: 'A' }, change: poke((l3) => l3 - 2, 0x88, 0xcc) },
  { name: 'the other family’s EtherType', spec: { tcp: 'A' }, change: otherFamily },
  { name: 'two VLAN tags', spec: { tcp: 'A', vlan: [1, 2] } },
  { name: 'four VLAN tags', spec: { tcp: 'A', vlan: [1, 2, 3, 4] } },
  { name: 'a later fragment', spec: { udp: true, fragment: { id: 9, offset: 64, more: false } } },
  {
    name: 'a first fragment of 8 bytes',
    spec: { udp: true, fragment: { id: 9, offset: 0, more: true } },
  },
  {
    name: 'a fragment beyond 65 535',
    spec: { udp: true, fragment: { id: 9, offset: 65_528, more: true } },
  },
  { name: 'no transport header', spec: { tcp: 'A' }, change: cut((_, l4) => l4) },
  { name: 'half a TCP header', spec: { tcp: 'A' }, change: cut((_, l4) => l4 + 10) },
  { name: 'ports and nothing more', spec: { udp: true }, change: cut((_, l4) => l4 + 4) },
  {
    name: 'zeros after the IP header',
    spec: { tcp: 'A' },
    change: fill((_, l4) => l4, 0),
  },
  {
    name: 'ones from the IP header on',
    spec: { tcp: 'A' },
    change: fill((l3) => l3, 255),
  },
]

function land(bytes: Buffer, l3: number, l4: number): undefined {
  const [at, size] = l4 - l3 === 20 ? [l3 + 12, 4] : [l3 + 8, 16]
  bytes.copy(bytes, at, at + size, at + 2 * size)
  bytes.copy(bytes, l4, l4 + 2, l4 + 4)
}

function otherFamily(bytes: Buffer, l3: number): undefined {
  bytes.writeUInt16BE(bytes.readUInt16BE(l3 - 2) === 0x0800 ? 0x86dd : 0x0800, l3 - 2)
}

/** A shape between two ends. */
export function build(shape: Shape, from: string, to: string): Buffer {
  const whole = frame({ from, to, ...shape.spec })
  const l3 = 14 + 4 * (shape.spec.vlan?.length ?? 0)
  const l4 = l3 + (from.startsWith('[') ? 40 : 20)
  return shape.change?.(whole, l3, l4) ?? whole
}

/** Ends of packets for each way that a node's flow with an outside client takes. */
export function waysOf(outside: Outside): readonly (readonly [from: string, to: string])[] {
  const { client, nodePort, loadBalancer, backend, stranger, node } = outside
  return [
    [client, nodePort],
    [client, loadBalancer],
    [backend, `${node}:50000`],
    [client, backend],
    [backend, client],
    [client, stranger],
  ]
}

/** Errors about packets of these ends, whole and cut short. */
export function errorsOf(outside: Outside): Buffer[] {
  const isIpv4 = outside.family === 'IPv4'
  return waysOf(outside).flatMap(([from, to]) =>
    [4, 8, 20, 44, 200].map((quoted) =>
      icmpError({
        ...{ from: outside.router, to: host(from), quoted },
        ...{ type: isIpv4 ? 3 : 1, code: isIpv4 ? 3 : 4 },
        about: ipOf(frame({ from, to, tcp: 'A', payload: 'abc' })),
      }),
    ),
  )
}

/**
 * What a program has broken in a frame that it passed on, or undefined: it may change addresses,
 * ports, checksums and hops, but no length, no payload and no sum that was right.
 */
export function damageOf(sent: Buffer, got: Buffer): string | undefined {
  if (got.equals(sent)) return undefined
  if (got.length !== sent.length) return `${sent.length} bytes became ${got.length}`
  const type = sent.readUInt16BE(12)
  if (type === 0x0800 && sent[14] === 0x45) return damageOfIpv4(sent, got)
  return undefined
}

function damageOfIpv4(sent: Buffer, got: Buffer): string | undefined {
  const header = (bytes: Buffer): number => sum16(bytes.subarray(14, 34))
  if (header(sent) === 0xffff && header(got) !== 0xffff) return 'the IP header’s sum is wrong now'
  if ((sent.readUInt16BE(20) & 0x3fff) !== 0 || ![6, 17].includes(sent[23]!)) return undefined
  const isTcp = sent[23] === 6
  const at = 34 + (isTcp ? 16 : 6)
  if (!sent.subarray(at + 2).equals(got.subarray(at + 2))) return 'bytes behind the sum changed'
  if (!isTcp && sent.readUInt16BE(at) === 0) return got.readUInt16BE(at) === 0 ? undefined : 'a sum'
  const whole = (bytes: Buffer): number => sum16(bytes.subarray(26, at + 2)) % 0xffff
  return whole(sent) === whole(got) ? undefined : 'the sum over addresses and ports is wrong now'
}
