// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#include "call.h"
#include "system.h"

/*
 * lockPath(path) -> fd, or -EWOULDBLOCK when another process holds it. The lock
 * goes with the last fd, so also when the process is killed.
 */
napi_value lock_path(napi_env env, napi_callback_info info)
{
	char path[TEXT_MAX];
	struct call c;
	int fd, error;

	if (!call_begin(&c, env, info, 1))
		return NULL;
	arg_text(&c, 0, path);
	if (c.bad)
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return give_int(env, -errno);
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		error = -errno;
		close(fd);
		return give_int(env, error);
	}
	return give_int(env, fd);
}

/* fileSystemMagic(path) -> f_type of statfs(2) */
napi_value file_system_magic(napi_env env, napi_callback_info info)
{
	char path[TEXT_MAX];
	struct statfs fs;
	struct call c;

	if (!call_begin(&c, env, info, 1))
		return NULL;
	arg_text(&c, 0, path);
	if (c.bad)
		return NULL;
	if (statfs(path, &fs))
		return give_int(env, -errno);
	return give_int(env, (int64_t)(uint32_t)fs.f_type);
}

/* ktimeCoarse() -> ns of CLOCK_MONOTONIC_COARSE, the clock behind bpf_ktime_get_coarse_ns */
napi_value ktime_coarse(napi_env env, napi_callback_info info)
{
	napi_value result = NULL;
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC_COARSE, &now))
		return give_int(env, -errno);
	napi_create_bigint_uint64(env, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
				  &result);
	return result;
}
