// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/libbpf.h>
#include "ring.h"
#include "watch.h"

/* Most bytes and records handed over per wake-up, so that other work gets its turn. */
#define BATCH_BYTES   (1u << 20)
#define BATCH_RECORDS 4096
#define RECORD_HEADER 8

struct ring {
	struct handle handle;
	struct watch watch;
	struct ring_buffer *buffer;
	uint8_t *batch;
	size_t cap;
	size_t len;
	uint32_t records;
	uint32_t lost; /* records for which there was no memory */
	int users; /* JavaScript's handle and the event loop */
};

static struct ring *ring_of(struct watch *watch)
{
	return (struct ring *)((char *)watch - offsetof(struct ring, watch));
}

static void ring_release(struct ring *ring)
{
	if (--ring->users > 0)
		return;
	free(ring->batch);
	free(ring);
}

static void ring_stop(struct ring *ring)
{
	watch_stop(&ring->watch);
}

static void on_closed(struct watch *watch)
{
	struct ring *ring = ring_of(watch);

	ring_buffer__free(ring->buffer);
	ring->buffer = NULL;
	ring_release(ring);
}

static void ring_free(napi_env env, void *data, void *hint)
{
	ring_stop(data);
	ring_release(data);
}

/* A record in a batch: u32 length, u32 zero, the bytes, padding to 8. */
static int add_record(void *data, void *record, size_t size)
{
	struct ring *ring = data;
	size_t padded = (size + 7) / 8 * 8 + RECORD_HEADER;
	uint32_t header[2] = {(uint32_t)size, 0};

	if (ring->len + padded > ring->cap) {
		size_t cap = (ring->len + padded) * 2;
		uint8_t *grown = realloc(ring->batch, cap);

		if (!grown) {
			ring->lost++;
			return -ENOMEM;
		}
		ring->batch = grown;
		ring->cap = cap;
	}
	memset(ring->batch + ring->len, 0, padded);
	memcpy(ring->batch + ring->len, header, RECORD_HEADER);
	memcpy(ring->batch + ring->len + RECORD_HEADER, record, size);
	ring->len += padded;
	/* the record counts as taken; the fd stays readable, so the rest comes next */
	return ring->len >= BATCH_BYTES || ++ring->records >= BATCH_RECORDS ? -EAGAIN : 0;
}

static void on_ready(struct watch *watch, int error)
{
	struct ring *ring = ring_of(watch);

	ring->len = 0;
	ring->records = 0;
	ring->lost = 0;
	if (!error)
		ring_buffer__consume(ring->buffer);
	if (ring->len)
		watch_call(watch, ring->batch, ring->len, 0);
	if (ring->lost)
		watch_call(watch, NULL, 0, -ENOMEM);
	if (error) {
		watch_call(watch, NULL, 0, error);
		ring_stop(ring);
	}
}

/* ringOpen(mapFd, callback(batch, error), keepsRunning) -> handle */
napi_value ring_open(napi_env env, napi_callback_info info)
{
	napi_valuetype type = napi_undefined;
	struct ring *ring;
	struct call c;
	int fd, keeps_running, error;

	if (!call_begin(&c, env, info, 3))
		return NULL;
	fd = arg_int(&c, 0);
	keeps_running = arg_int(&c, 2);
	if (!c.bad && (napi_typeof(env, c.argv[1], &type) != napi_ok || type != napi_function))
		call_refuse(&c, 1, "a function");
	if (c.bad)
		return NULL;

	ring = calloc(1, sizeof(*ring));
	if (!ring)
		return give_int(env, -ENOMEM);
	ring->handle.kind = HANDLE_RING;
	ring->watch.ready = on_ready;
	ring->watch.closed = on_closed;
	ring->buffer = ring_buffer__new(fd, add_record, ring, NULL);
	if (!ring->buffer) {
		error = -errno;
		free(ring);
		return give_int(env, error);
	}
	error = watch_start(&ring->watch, env, ring_buffer__epoll_fd(ring->buffer), c.argv[1]);
	if (error && !ring->watch.poll) {
		ring_buffer__free(ring->buffer);
		free(ring);
		return give_int(env, error);
	}
	ring->users = 1; /* the event loop */
	if (error)
		return give_int(env, error);
	watch_set_ref(&ring->watch, keeps_running != 0);
	ring->users++;
	return give_handle(env, &ring->handle, ring_free);
}

/* ringClose(ring): no callback comes after it. */
napi_value ring_close(napi_env env, napi_callback_info info)
{
	struct ring *ring;
	struct call c;

	if (!call_begin(&c, env, info, 1))
		return NULL;
	ring = arg_handle(&c, 0, HANDLE_RING);
	if (c.bad)
		return NULL;
	ring_stop(ring);
	return give_int(env, 0);
}
