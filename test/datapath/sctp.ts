import { frame, parseEnd, type PacketSpec } from './packet.ts'

export const sctpProtocol = 132

/** Types of the chunks used here (RFC 9260). */
export const chunks = {
  DATA: 0,
  INIT: 1,
  'INIT ACK': 2,
  SACK: 3,
  ABORT: 6,
  SHUTDOWN: 7,
  'SHUTDOWN ACK': 8,
  'COOKIE ECHO': 10,
  'SHUTDOWN COMPLETE': 14,
} as const

export type Chunk = keyof typeof chunks

/** CRC32c of bytes, one bit at a time: slow, and nothing like the way of the packet programs. */
export function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) !== 0 ? 0x82f63b78 : 0)
  }
  return ~crc >>> 0
}

/** A frame with one SCTP chunk of this type and as many bytes. */
export function sctpFrame(
  spec: Pick<PacketSpec, 'from' | 'to' | 'extensions' | 'ipOptions' | 'vlan'>,
  chunk: Chunk,
  bytes = 16,
): Buffer {
  return frame({ ...spec, rest: sctpPacket(spec, chunk, bytes), claim: { protocol: sctpProtocol } })
}

function sctpPacket(spec: Pick<PacketSpec, 'from' | 'to'>, chunk: Chunk, bytes: number): Buffer {
  const packet = Buffer.alloc(16 + bytes, 0x5a)
  packet.writeUInt16BE(parseEnd(spec.from).port, 0)
  packet.writeUInt16BE(parseEnd(spec.to).port, 2)
  packet.writeUInt32BE(0x12345678, 4)
  packet.writeUInt32LE(0, 8)
  packet[12] = chunks[chunk]
  packet[13] = 0
  packet.writeUInt16BE(4 + bytes, 14)
  packet.writeUInt32LE(crc32c(packet), 8)
  return packet
}

/** `[INIT]`, and whether the checksum is right. */
export function describeSctp(body: Buffer): string {
  const name = Object.entries(chunks).find(([, type]) => type === body[12])?.[0] ?? 'unknown'
  const copy = Buffer.from(body)
  copy.writeUInt32LE(0, 8)
  const isRight = crc32c(copy) === body.readUInt32LE(8)
  return `[${name}]${isRight ? '' : ', wrong checksum'}`
}
