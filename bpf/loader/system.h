/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The few system calls that Node does not have. */
#ifndef LOADER_SYSTEM_H
#define LOADER_SYSTEM_H

#include <node_api.h>

napi_value lock_path(napi_env env, napi_callback_info info);
napi_value file_system_magic(napi_env env, napi_callback_info info);
napi_value ktime_coarse(napi_env env, napi_callback_info info);

#endif
