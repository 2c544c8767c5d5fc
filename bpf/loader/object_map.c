// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include "object.h"

/* The map named by the arguments 0 and 1; NULL without an exception: there is none. */
static struct bpf_map *arg_map(struct call *c)
{
	struct bpf_object *bpf = arg_object(c, 0);
	char name[TEXT_MAX];

	arg_text(c, 1, name);
	return c->bad ? NULL : bpf_object__find_map_by_name(bpf, name);
}

/* objectMaps(object) -> names, each ended by NUL */
napi_value object_maps(napi_env env, napi_callback_info info)
{
	struct names names = {};
	struct bpf_object *bpf;
	struct bpf_map *map;
	napi_value result;
	struct call c;

	if (!call_begin(&c, env, info, 1))
		return NULL;
	bpf = arg_object(&c, 0);
	if (c.bad)
		return NULL;
	bpf_object__for_each_map(map, bpf)
	{
		if (!names_add(&names, bpf_map__name(map))) {
			free(names.text);
			return give_int(env, -ENOMEM);
		}
	}
	result = give_bytes(env, names.text, names.len);
	free(names.text);
	return result;
}

/* objectMapShape(object, map) -> u32 type, key size, value size, entries, flags */
napi_value object_map_shape(napi_env env, napi_callback_info info)
{
	struct bpf_map *map;
	struct call c;

	if (!call_begin(&c, env, info, 2))
		return NULL;
	map = arg_map(&c);
	if (c.bad)
		return NULL;
	if (!map)
		return give_int(env, -ENOENT);
	uint32_t shape[] = {bpf_map__type(map), bpf_map__key_size(map), bpf_map__value_size(map),
			    bpf_map__max_entries(map), bpf_map__map_flags(map)};
	return give_bytes(env, shape, sizeof(shape));
}

/* objectSetMapEntries(object, map, entries): before loading only. */
napi_value object_set_map_entries(napi_env env, napi_callback_info info)
{
	struct bpf_map *map;
	uint32_t entries;
	struct call c;

	if (!call_begin(&c, env, info, 3))
		return NULL;
	map = arg_map(&c);
	entries = arg_u32(&c, 2);
	if (c.bad)
		return NULL;
	return give_int(env, map ? bpf_map__set_max_entries(map, entries) : -ENOENT);
}

/* objectSetMapPin(object, map, path): reuse what is pinned there, or pin there when loading. */
napi_value object_set_map_pin(napi_env env, napi_callback_info info)
{
	struct bpf_map *map;
	char path[TEXT_MAX];
	struct call c;

	if (!call_begin(&c, env, info, 3))
		return NULL;
	map = arg_map(&c);
	arg_text(&c, 2, path);
	if (c.bad)
		return NULL;
	return give_int(env, map ? bpf_map__set_pin_path(map, path) : -ENOENT);
}

/* objectMapFd(object, map) -> a duplicate that the caller closes */
napi_value object_map_fd(napi_env env, napi_callback_info info)
{
	struct bpf_map *map;
	struct call c;
	int fd;

	if (!call_begin(&c, env, info, 2))
		return NULL;
	map = arg_map(&c);
	if (c.bad)
		return NULL;
	if (!map)
		return give_int(env, -ENOENT);
	fd = bpf_map__fd(map);
	if (fd >= 0)
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	else
		errno = EBADF;
	return give_int(env, fd >= 0 ? fd : -errno);
}
