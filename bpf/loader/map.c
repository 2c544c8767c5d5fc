// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/bpf.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "call.h"
#include "map.h"

#define RANGE_BYTES_MAX (256u << 20)

struct shape {
	uint32_t type;
	uint32_t key_size;
	uint32_t entries;
	size_t value_size; /* what the kernel copies: for per-CPU maps, of all CPUs */
};

static bool is_percpu(uint32_t type)
{
	return type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH ||
	       type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

/* Asks the kernel each time: a wrong size would let it write past a buffer. */
static int map_shape(int fd, struct shape *shape)
{
	struct bpf_map_info map = {};
	uint32_t len = sizeof(map);
	int cpus;

	if (bpf_obj_get_info_by_fd(fd, &map, &len))
		return -errno;
	*shape = (struct shape){map.type, map.key_size, map.max_entries, map.value_size};
	if (is_percpu(map.type)) {
		cpus = libbpf_num_possible_cpus();
		if (cpus < 0)
			return cpus;
		shape->value_size = ((size_t)map.value_size + 7) / 8 * 8 * cpus;
	}
	return 0;
}

/* possibleCpus() -> how many values a per-CPU entry has */
napi_value possible_cpus(napi_env env, napi_callback_info info)
{
	return give_int(env, libbpf_num_possible_cpus());
}

/* mapLookup(fd, key) -> value; of a per-CPU map: the values of all CPUs, each padded to 8 bytes */
napi_value map_lookup(napi_env env, napi_callback_info info)
{
	struct shape shape;
	napi_value result;
	struct bytes key;
	uint8_t *value;
	struct call c;
	int fd, error;

	if (!call_begin(&c, env, info, 2))
		return NULL;
	fd = arg_int(&c, 0);
	key = arg_bytes(&c, 1);
	if (c.bad)
		return NULL;
	error = map_shape(fd, &shape);
	if (error)
		return give_int(env, error);
	if (key.len != shape.key_size)
		return give_int(env, -EMSGSIZE);
	value = calloc(1, shape.value_size);
	if (!value)
		return give_int(env, -ENOMEM);
	error = bpf_map_lookup_elem(fd, key.data, value) ? -errno : 0;
	result = error ? give_int(env, error) : give_bytes(env, value, shape.value_size);
	free(value);
	return result;
}

/* mapUpdate(fd, key, value, flags): the value as mapLookup gives it */
napi_value map_update(napi_env env, napi_callback_info info)
{
	struct bytes key, value;
	struct shape shape;
	uint32_t flags;
	struct call c;
	int fd, error;

	if (!call_begin(&c, env, info, 4))
		return NULL;
	fd = arg_int(&c, 0);
	key = arg_bytes(&c, 1);
	value = arg_bytes(&c, 2);
	flags = arg_u32(&c, 3);
	if (c.bad)
		return NULL;
	error = map_shape(fd, &shape);
	if (error)
		return give_int(env, error);
	if (key.len != shape.key_size || value.len != shape.value_size)
		return give_int(env, -EMSGSIZE);
	return give_int(env, bpf_map_update_elem(fd, key.data, value.data, flags) ? -errno : 0);
}

/* mapNextKey(fd, key | null) -> the key after it, or -ENOENT at the end */
napi_value map_next_key(napi_env env, napi_callback_info info)
{
	struct shape shape;
	napi_value result;
	struct bytes key;
	uint8_t *next;
	struct call c;
	int fd, error;

	if (!call_begin(&c, env, info, 2))
		return NULL;
	fd = arg_int(&c, 0);
	key = arg_optional_bytes(&c, 1);
	if (c.bad)
		return NULL;
	error = map_shape(fd, &shape);
	if (error)
		return give_int(env, error);
	if (key.data && key.len != shape.key_size)
		return give_int(env, -EMSGSIZE);
	next = calloc(1, shape.key_size);
	if (!next)
		return give_int(env, -ENOMEM);
	error = bpf_map_get_next_key(fd, key.data, next) ? -errno : 0;
	result = error ? give_int(env, error) : give_bytes(env, next, shape.key_size);
	free(next);
	return result;
}

/* One lookup at a time, for kernels without batches on this map type. */
static int range_by_one(int fd, uint32_t first, uint32_t count, uint8_t *values, size_t size)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t index = first + i;

		if (bpf_map_lookup_elem(fd, &index, values + (size_t)i * size))
			return -errno;
	}
	return 0;
}

static int range_at_once(int fd, uint32_t first, uint32_t count, uint8_t *values)
{
	uint32_t before = first - 1, after = 0, got = count;
	uint32_t *keys = malloc(count * sizeof(*keys));
	int error;

	if (!keys)
		return -ENOMEM;
	error = bpf_map_lookup_batch(fd, first ? &before : NULL, &after, keys, values, &got, NULL);
	/* -ENOENT says that the end of the array was reached */
	error = error && errno != ENOENT ? -errno : 0;
	if (!error && (got != count || keys[0] != first || keys[count - 1] != first + count - 1))
		error = -EIO;
	free(keys);
	return error;
}

/* mapRange(fd, first, count) -> the values of these indices of an array, one after another */
napi_value map_range(napi_env env, napi_callback_info info)
{
	uint32_t first, count;
	struct shape shape;
	napi_value result;
	uint8_t *values;
	struct call c;
	int fd, error;

	if (!call_begin(&c, env, info, 3))
		return NULL;
	fd = arg_int(&c, 0);
	first = arg_u32(&c, 1);
	count = arg_u32(&c, 2);
	if (c.bad)
		return NULL;
	error = map_shape(fd, &shape);
	if (error)
		return give_int(env, error);
	if (shape.type != BPF_MAP_TYPE_ARRAY && shape.type != BPF_MAP_TYPE_PERCPU_ARRAY)
		return give_int(env, -EINVAL);
	if (count == 0 || first >= shape.entries || count > shape.entries - first)
		return give_int(env, -ERANGE);
	if (count > RANGE_BYTES_MAX / shape.value_size)
		return give_int(env, -E2BIG);
	values = calloc(count, shape.value_size);
	if (!values)
		return give_int(env, -ENOMEM);
	error = range_at_once(fd, first, count, values);
	if (error)
		error = range_by_one(fd, first, count, values, shape.value_size);
	result = error ? give_int(env, error)
		       : give_bytes(env, values, (size_t)count * shape.value_size);
	free(values);
	return result;
}
