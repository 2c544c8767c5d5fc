/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Records of a ring buffer map, in batches. */
#ifndef LOADER_RING_H
#define LOADER_RING_H

#include <node_api.h>

napi_value ring_open(napi_env env, napi_callback_info info);
napi_value ring_close(napi_env env, napi_callback_info info);

#endif
