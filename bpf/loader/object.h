/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A compiled object: opened, adjusted, loaded, closed. */
#ifndef LOADER_OBJECT_H
#define LOADER_OBJECT_H

#include <bpf/libbpf.h>
#include "call.h"

struct object {
	struct handle handle;
	struct bpf_object *bpf; /* NULL once closed */
};

struct bpf_object *arg_object(struct call *c, size_t i);

/* A list of names: each followed by a NUL byte. */
struct names {
	char *text;
	size_t len;
};
bool names_add(struct names *names, const char *name);

napi_value object_open(napi_env env, napi_callback_info info);
napi_value object_load(napi_env env, napi_callback_info info);
napi_value object_close(napi_env env, napi_callback_info info);
napi_value object_global_size(napi_env env, napi_callback_info info);
napi_value object_set_global(napi_env env, napi_callback_info info);

napi_value object_maps(napi_env env, napi_callback_info info);
napi_value object_map_shape(napi_env env, napi_callback_info info);
napi_value object_set_map_entries(napi_env env, napi_callback_info info);
napi_value object_set_map_pin(napi_env env, napi_callback_info info);
napi_value object_map_fd(napi_env env, napi_callback_info info);

napi_value object_programs(napi_env env, napi_callback_info info);
napi_value object_set_program_type(napi_env env, napi_callback_info info);
napi_value object_set_autoload(napi_env env, napi_callback_info info);
napi_value object_program_fd(napi_env env, napi_callback_info info);

#endif
