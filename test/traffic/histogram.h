/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Latencies with 1.6 % resolution: each power of two of nanoseconds has 64 buckets.
 *   value 0 .. 127          one bucket each
 *   value 2^k .. 2^(k+1)-1  64 buckets of 2^(k-6)
 */
#ifndef TRAFFIC_HISTOGRAM_H
#define TRAFFIC_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_BUCKETS (64 * 40)

struct histogram {
	uint64_t count, sum, min, max;
	uint32_t bucket[HISTOGRAM_BUCKETS];
};

static inline unsigned bucket_of(uint64_t ns)
{
	unsigned shift = ns < 128 ? 0 : 57 - __builtin_clzll(ns);
	unsigned bucket = shift * 64 + (ns >> shift);

	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The value `share` (0 .. 1) of the way through a bucket. */
static inline uint64_t bucket_value(unsigned bucket, double share)
{
	unsigned shift = bucket < 128 ? 0 : bucket / 64 - 1;

	return ((uint64_t)(bucket - shift * 64) << shift) + (uint64_t)((1ull << shift) * share);
}

static inline void record(struct histogram *h, uint64_t ns)
{
	if (!h->count || ns < h->min)
		h->min = ns;
	if (ns > h->max)
		h->max = ns;
	h->count++;
	h->sum += ns;
	h->bucket[bucket_of(ns)]++;
}

/*
 * The value below which `share` (0 .. 1) of the records lie; 0 without records. Records are taken
 * to lie evenly in their bucket, which makes medians finer than buckets.
 */
static inline uint64_t quantile(const struct histogram *h, double share)
{
	uint64_t wanted = h->count * share, seen = 0;

	if (!h->count)
		return 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (seen + h->bucket[i] > wanted)
			return bucket_value(i, (wanted - seen + 0.5) / h->bucket[i]);
		seen += h->bucket[i];
	}
	return h->max;
}

/* "latencyUs":{...} in microseconds */
static inline void print_histogram(const struct histogram *h)
{
	printf("\"latencyUs\":{\"count\":%llu,\"mean\":%.2f,\"min\":%.2f,\"p50\":%.2f,"
	       "\"p95\":%.2f,\"p99\":%.2f,\"max\":%.2f}",
	       (unsigned long long)h->count, h->count ? h->sum / 1e3 / h->count : 0, h->min / 1e3,
	       quantile(h, 0.5) / 1e3, quantile(h, 0.95) / 1e3, quantile(h, 0.99) / 1e3,
	       h->max / 1e3);
}

#endif
