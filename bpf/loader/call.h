/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The border with JavaScript: integers, text, buffers and opaque handles in,
 * integers and buffers out. A wrong argument is a programmer's error and throws
 * a TypeError; whatever the kernel refuses comes back as a negative errno.
 */
#ifndef LOADER_CALL_H
#define LOADER_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <node_api.h>

#define CALL_MAX_ARGS 8
#define TEXT_MAX      4096

struct call {
	napi_env env;
	size_t argc;
	napi_value argv[CALL_MAX_ARGS];
	bool bad; /* an argument was refused and an exception is pending */
};

struct bytes {
	uint8_t *data;
	size_t len;
};

/* Every handle starts with its kind, so that one kind is never taken for another. */
enum handle_kind {
	HANDLE_OBJECT = 0x6b736f62,
	HANDLE_RING = 0x6b737267,
	HANDLE_NETLINK = 0x6b736e6c,
};

struct handle {
	uint32_t kind; /* enum handle_kind */
};

bool call_begin(struct call *c, napi_env env, napi_callback_info info, size_t want);
void call_refuse(struct call *c, size_t i, const char *what);
int64_t arg_int64(struct call *c, size_t i);
int arg_int(struct call *c, size_t i);
uint32_t arg_u32(struct call *c, size_t i);
bool arg_text(struct call *c, size_t i, char text[TEXT_MAX]);
struct bytes arg_bytes(struct call *c, size_t i);
struct bytes arg_optional_bytes(struct call *c, size_t i);
void *arg_handle(struct call *c, size_t i, enum handle_kind kind);

napi_value give_int(napi_env env, int64_t value);
napi_value give_bytes(napi_env env, const void *data, size_t len);
napi_value give_handle(napi_env env, struct handle *handle, napi_finalize finalize);

#endif
