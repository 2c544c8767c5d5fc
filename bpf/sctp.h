/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SCTP (RFC 9260): its chunks in the words of TCP's state, and its checksum. That
 * is CRC32c without a pseudo-header, so other addresses leave it alone. Other
 * ports do not: CRC is linear, so the change is the difference of the ports moved
 * through the rest of the packet, without reading the packet.
 */
#ifndef KUBE_SHUNT_SCTP_H
#define KUBE_SHUNT_SCTP_H

#include "packet.h"

/* CRC32c's polynomial (Castagnoli), bits reversed. */
#define CRC32C_POLYNOMIAL 0x82f63b78
/* Binary digits of a packet's length in bytes. */
#define LENGTH_BITS	  16

enum sctp_chunk {
	SCTP_INIT = 1,
	SCTP_INIT_ACK = 2,
	SCTP_ABORT = 6,
	SCTP_SHUTDOWN = 7,
	SCTP_SHUTDOWN_ACK = 8,
	SCTP_SHUTDOWN_COMPLETE = 14,
};

struct sctp_header {
	__be16 sport;
	__be16 dport;
	__be32 tag;
	__le32 checksum;
	__u8 chunk; /* type of the first chunk */
	__u8 chunk_flags;
	__be16 chunk_length;
};

/* x^(8 * 2^k) modulo the polynomial: moves a remainder by 2^k bytes. */
static const __u32 crc32c_powers[LENGTH_BITS] = {
	0x00800000, 0x00008000, 0x82f63b78, 0x6ea2d55c, 0x18b8ea18, 0x510ac59a,
	0xb82be955, 0xb8fdb1e7, 0x88e56f72, 0x74c360a4, 0xe4172b16, 0x0d65762a,
	0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc,
};

/* What a packet does to its association, as TCP flags say it. */
static __always_inline __u8 sctp_as_tcp_flags(__u8 chunk)
{
	switch (chunk) {
	case SCTP_INIT:
		return TCP_SYN;
	case SCTP_INIT_ACK:
		return TCP_SYN | TCP_ACK;
	case SCTP_ABORT:
		return TCP_RST;
	case SCTP_SHUTDOWN:
	case SCTP_SHUTDOWN_ACK:
	case SCTP_SHUTDOWN_COMPLETE:
		return TCP_FIN | TCP_ACK;
	default:
		return TCP_ACK;
	}
}

/* All bits of a word if the lowest bit of `value` is set: a choice without a branch. */
static __always_inline __u32 mask_of(__u32 value)
{
	return -(value & 1);
}

/*
 * The product of two polynomials modulo CRC32c's. Free of branches, of which the
 * verifier would walk every combination; not inlined, for it to walk this once.
 */
__noinline __u32 crc32c_multiply(__u32 a, __u32 b)
{
	__u32 product = 0;

	for (int i = 31; i >= 0; i--) {
		product ^= b & mask_of(a >> i);
		b = (b >> 1) ^ (CRC32C_POLYNOMIAL & mask_of(b));
	}
	return product;
}

/*
 * The change of the checksum of `length` bytes whose first four changed by
 * `difference` (as they lie in memory). Not inlined for the same reason.
 */
__noinline __u32 crc32c_delta(__u32 difference, __u32 length)
{
	for (__u32 k = 0; k < LENGTH_BITS; k++) {
		__u32 moved = crc32c_multiply(crc32c_powers[k], difference);
		__u32 mask = mask_of(length >> k);

		difference = (moved & mask) | (difference & ~mask);
	}
	return difference;
}

#endif
