/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Kernel objects by path, fd and id. */
#ifndef LOADER_PIN_H
#define LOADER_PIN_H

#include <node_api.h>

napi_value obj_pin(napi_env env, napi_callback_info info);
napi_value obj_get(napi_env env, napi_callback_info info);
napi_value obj_info(napi_env env, napi_callback_info info);
napi_value prog_fd_by_id(napi_env env, napi_callback_info info);
napi_value map_fd_by_id(napi_env env, napi_callback_info info);
napi_value link_fd_by_id(napi_env env, napi_callback_info info);

#endif
