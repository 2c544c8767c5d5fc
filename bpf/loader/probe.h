/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What this kernel can do: found by trying, never by its version. */
#ifndef LOADER_PROBE_H
#define LOADER_PROBE_H

#include <node_api.h>

napi_value probe_map_type(napi_env env, napi_callback_info info);
napi_value probe_prog_type(napi_env env, napi_callback_info info);
napi_value probe_helper(napi_env env, napi_callback_info info);
napi_value probe_tcx(napi_env env, napi_callback_info info);
napi_value probe_mmapable(napi_env env, napi_callback_info info);

#endif
