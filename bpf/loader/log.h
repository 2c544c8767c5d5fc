/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What libbpf said about the last failure; the verifier's log arrives here too. */
#ifndef LOADER_LOG_H
#define LOADER_LOG_H

#include <node_api.h>

void log_start(void);
napi_value log_take(napi_env env, napi_callback_info info);

#endif
