/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Map contents that npm `bpf` cannot reach: per-CPU values and mapped memory. */
#ifndef LOADER_MAP_H
#define LOADER_MAP_H

#include <node_api.h>

napi_value possible_cpus(napi_env env, napi_callback_info info);
napi_value map_lookup(napi_env env, napi_callback_info info);
napi_value map_update(napi_env env, napi_callback_info info);
napi_value map_next_key(napi_env env, napi_callback_info info);
napi_value map_range(napi_env env, napi_callback_info info);
napi_value map_memory(napi_env env, napi_callback_info info);
napi_value map_memory_close(napi_env env, napi_callback_info info);

#endif
