/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A raw rtnetlink socket of this process's network namespace. */
#ifndef LOADER_NETLINK_H
#define LOADER_NETLINK_H

#include <node_api.h>

napi_value netlink_open(napi_env env, napi_callback_info info);
napi_value netlink_join(napi_env env, napi_callback_info info);
napi_value netlink_send(napi_env env, napi_callback_info info);
napi_value netlink_close(napi_env env, napi_callback_info info);

#endif
