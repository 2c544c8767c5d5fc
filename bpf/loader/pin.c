// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <bpf/bpf.h>
#include "call.h"
#include "pin.h"

/* Larger than any info struct so far; the kernel fills what it knows and says how much. */
#define INFO_MAX 512

/* objPin(fd, path) */
napi_value obj_pin(napi_env env, napi_callback_info info)
{
	char path[TEXT_MAX];
	struct call c;
	int fd;

	if (!call_begin(&c, env, info, 2))
		return NULL;
	fd = arg_int(&c, 0);
	arg_text(&c, 1, path);
	if (c.bad)
		return NULL;
	return give_int(env, bpf_obj_pin(fd, path) ? -errno : 0);
}

/* objGet(path) -> fd */
napi_value obj_get(napi_env env, napi_callback_info info)
{
	char path[TEXT_MAX];
	struct call c;
	int fd;

	if (!call_begin(&c, env, info, 1))
		return NULL;
	arg_text(&c, 0, path);
	if (c.bad)
		return NULL;
	fd = bpf_obj_get(path);
	return give_int(env, fd < 0 ? -errno : fd);
}

/* objInfo(fd) -> struct bpf_prog_info, bpf_map_info or bpf_link_info, as long as the kernel has it
 */
napi_value obj_info(napi_env env, napi_callback_info info)
{
	uint64_t data[INFO_MAX / sizeof(uint64_t)] = {};
	uint32_t len = sizeof(data);
	struct call c;
	int fd;

	if (!call_begin(&c, env, info, 1))
		return NULL;
	fd = arg_int(&c, 0);
	if (c.bad)
		return NULL;
	if (bpf_obj_get_info_by_fd(fd, data, &len))
		return give_int(env, -errno);
	return give_bytes(env, data, len);
}

static napi_value fd_by_id(napi_env env, napi_callback_info info, int (*get)(uint32_t))
{
	struct call c;
	uint32_t id;
	int fd;

	if (!call_begin(&c, env, info, 1))
		return NULL;
	id = arg_u32(&c, 0);
	if (c.bad)
		return NULL;
	fd = get(id);
	return give_int(env, fd < 0 ? -errno : fd);
}

/* progFdById(id) -> fd; needs CAP_SYS_ADMIN, as do the next two */
napi_value prog_fd_by_id(napi_env env, napi_callback_info info)
{
	return fd_by_id(env, info, bpf_prog_get_fd_by_id);
}

/* mapFdById(id) -> fd */
napi_value map_fd_by_id(napi_env env, napi_callback_info info)
{
	return fd_by_id(env, info, bpf_map_get_fd_by_id);
}

/* linkFdById(id) -> fd */
napi_value link_fd_by_id(napi_env env, napi_callback_info info)
{
	return fd_by_id(env, info, bpf_link_get_fd_by_id);
}
