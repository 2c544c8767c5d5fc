/** The one's-complement sum of 16-bit words (RFC 1071), folded. */
export function sum16(bytes: Buffer, start = 0): number {
  let sum = start
  for (let at = 0; at + 1 < bytes.length; at += 2) sum += bytes.readUInt16BE(at)
  if (bytes.length % 2 === 1) sum += (bytes[bytes.length - 1] ?? 0) << 8
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return sum
}

/** The checksum field of `bytes`, whose own field is zero. */
export function checksum(bytes: Buffer, start = 0): number {
  return ~sum16(bytes, start) & 0xffff
}

/** The sum over the pseudo-header that TCP, UDP and ICMPv6 checksums include. */
export function pseudoSum(saddr: Buffer, daddr: Buffer, proto: number, length: number): number {
  return sum16(saddr) + sum16(daddr) + proto + length
}
