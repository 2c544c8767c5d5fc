/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Running a loaded program on bytes instead of traffic. */
#ifndef LOADER_RUN_H
#define LOADER_RUN_H

#include <node_api.h>

napi_value test_run(napi_env env, napi_callback_info info);
napi_value test_run_async(napi_env env, napi_callback_info info);

#endif
