// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "watch.h"

/*
 * The part of libuv's stable interface used here. Declared by hand because
 * node-api-headers has no uv.h; handles stay opaque, their size is asked for.
 */
typedef struct uv_poll_s uv_poll_t;
typedef struct uv_handle_s uv_handle_t;
enum { UV_POLL_HANDLE = 8, UV_READABLE_EVENT = 1 };
extern size_t uv_handle_size(int type);
extern const char *uv_handle_type_name(int type);
extern void *uv_handle_get_data(const uv_handle_t *handle);
extern void uv_handle_set_data(uv_handle_t *handle, void *data);
extern int uv_poll_init(struct uv_loop_s *loop, uv_poll_t *handle, int fd);
extern int uv_poll_start(uv_poll_t *handle, int events, void (*cb)(uv_poll_t *, int, int));
extern int uv_poll_stop(uv_poll_t *handle);
extern void uv_close(uv_handle_t *handle, void (*cb)(uv_handle_t *));
extern void uv_ref(uv_handle_t *handle);
extern void uv_unref(uv_handle_t *handle);

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = uv_handle_get_data((uv_handle_t *)poll);

	if (watch->open)
		watch->ready(watch, status < 0 ? status : 0);
}

static void on_closed(uv_handle_t *handle)
{
	struct watch *watch = uv_handle_get_data(handle);

	free(handle);
	watch->poll = NULL;
	if (watch->at_exit)
		napi_remove_async_cleanup_hook(watch->at_exit);
	watch->closed(watch);
}

/* The runtime waits until on_closed() has removed the hook before it unloads this code. */
static void stop_at_exit(napi_async_cleanup_hook_handle handle, void *data)
{
	watch_stop(data);
}

static int start_poll(struct watch *watch, int fd)
{
	const char *name = uv_handle_type_name(UV_POLL_HANDLE);
	struct uv_loop_s *loop = NULL;
	int error;

	if (!name || strcmp(name, "poll") != 0)
		return -ENOSYS;
	if (napi_get_uv_event_loop(watch->env, &loop) != napi_ok)
		return -ENOSYS;
	watch->poll = malloc(uv_handle_size(UV_POLL_HANDLE));
	if (!watch->poll)
		return -ENOMEM;
	error = uv_poll_init(loop, watch->poll, fd);
	if (error) {
		free(watch->poll);
		watch->poll = NULL;
		return error;
	}
	uv_handle_set_data((uv_handle_t *)watch->poll, watch);
	return uv_poll_start(watch->poll, UV_READABLE_EVENT, on_ready);
}

/* Watches fd; from now on the owner's memory must live until `closed` is called. */
int watch_start(struct watch *watch, napi_env env, int fd, napi_value callback)
{
	napi_value name = NULL;
	int error;

	watch->env = env;
	if (napi_create_reference(env, callback, 1, &watch->callback) != napi_ok)
		return -EINVAL;
	error = start_poll(watch, fd);
	if (error && !watch->poll) {
		napi_delete_reference(env, watch->callback);
		return error;
	}
	napi_create_string_utf8(env, "kube-shunt watch", NAPI_AUTO_LENGTH, &name);
	napi_async_init(env, NULL, name, &watch->context);
	napi_add_async_cleanup_hook(env, stop_at_exit, watch, &watch->at_exit);
	watch->open = true;
	if (error)
		watch_stop(watch);
	return error;
}

/* Goes on after libuv stopped by itself. */
int watch_resume(struct watch *watch)
{
	return uv_poll_start(watch->poll, UV_READABLE_EVENT, on_ready);
}

/* Repeated calls do nothing. */
void watch_stop(struct watch *watch)
{
	if (!watch->open)
		return;
	watch->open = false;
	napi_delete_reference(watch->env, watch->callback);
	napi_async_destroy(watch->env, watch->context);
	uv_poll_stop(watch->poll);
	uv_close((uv_handle_t *)watch->poll, on_closed);
}

/* Does the watch alone keep the process running? */
void watch_set_ref(struct watch *watch, bool ref)
{
	if (!watch->open)
		return;
	if (ref)
		uv_ref((uv_handle_t *)watch->poll);
	else
		uv_unref((uv_handle_t *)watch->poll);
}

/* callback(bytes, error). An exception in it ends the process as any uncaught one does. */
void watch_call(struct watch *watch, const void *data, size_t len, int error)
{
	napi_value callback = NULL, argv[2], receiver = NULL, thrown = NULL;
	napi_env env = watch->env;
	napi_handle_scope scope;
	bool pending = false;

	if (!watch->open || napi_open_handle_scope(env, &scope) != napi_ok)
		return;
	argv[0] = give_bytes(env, data, len);
	argv[1] = give_int(env, error);
	napi_get_reference_value(env, watch->callback, &callback);
	napi_get_global(env, &receiver);
	napi_make_callback(env, watch->context, receiver, callback, 2, argv, NULL);
	napi_is_exception_pending(env, &pending);
	if (pending && napi_get_and_clear_last_exception(env, &thrown) == napi_ok)
		napi_fatal_exception(env, thrown);
	napi_close_handle_scope(env, scope);
}
