/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A file descriptor watched on Node's event loop, and the JavaScript it wakes. */
#ifndef LOADER_WATCH_H
#define LOADER_WATCH_H

#include "call.h"

struct watch;
typedef void (*watch_ready_fn)(struct watch *watch, int error);
typedef void (*watch_closed_fn)(struct watch *watch);

struct watch {
	napi_env env;
	struct uv_poll_s *poll;
	napi_ref callback;
	napi_async_context context;
	napi_async_cleanup_hook_handle at_exit;
	bool open;
	watch_ready_fn ready; /* the fd can be read; error < 0: it cannot be watched any more */
	watch_closed_fn closed; /* the loop has let go of it: the owner may free its memory */
};

int watch_start(struct watch *watch, napi_env env, int fd, napi_value callback);
int watch_resume(struct watch *watch);
void watch_stop(struct watch *watch);
void watch_set_ref(struct watch *watch, bool ref);
void watch_call(struct watch *watch, const void *data, size_t len, int error);

#endif
