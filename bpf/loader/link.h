/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where programs are attached: links, classic tc filters, and what sits on a hook. */
#ifndef LOADER_LINK_H
#define LOADER_LINK_H

#include <node_api.h>

napi_value link_create(napi_env env, napi_callback_info info);
napi_value link_update(napi_env env, napi_callback_info info);
napi_value link_detach(napi_env env, napi_callback_info info);
napi_value hook_query(napi_env env, napi_callback_info info);
napi_value xdp_query(napi_env env, napi_callback_info info);

napi_value tc_hook_create(napi_env env, napi_callback_info info);
napi_value tc_hook_destroy(napi_env env, napi_callback_info info);
napi_value tc_attach(napi_env env, napi_callback_info info);
napi_value tc_detach(napi_env env, napi_callback_info info);
napi_value tc_query(napi_env env, napi_callback_info info);

#endif
