// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The values of an mmapable array as memory of this process. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <bpf/bpf.h>
#include "call.h"
#include "map.h"

struct memory {
	void *start;
	size_t len;
};

static void memory_free(napi_env env, void *data, void *hint)
{
	struct memory *memory = hint;

	munmap(memory->start, memory->len);
	free(memory);
}

/* mapMemory(fd) -> ArrayBuffer over all values; -EOPNOTSUPP when the runtime refuses such buffers
 */
napi_value map_memory(napi_env env, napi_callback_info info)
{
	struct bpf_map_info map = {};
	uint32_t info_len = sizeof(map);
	size_t page = (size_t)sysconf(_SC_PAGESIZE), used;
	struct memory *memory;
	napi_value result;
	struct call c;
	int fd, error;

	if (!call_begin(&c, env, info, 1))
		return NULL;
	fd = arg_int(&c, 0);
	if (c.bad)
		return NULL;
	if (bpf_obj_get_info_by_fd(fd, &map, &info_len))
		return give_int(env, -errno);
	if (map.type != BPF_MAP_TYPE_ARRAY || !(map.map_flags & BPF_F_MMAPABLE))
		return give_int(env, -EINVAL);

	memory = malloc(sizeof(*memory));
	if (!memory)
		return give_int(env, -ENOMEM);
	used = ((size_t)map.value_size + 7) / 8 * 8 * map.max_entries;
	memory->len = (used + page - 1) / page * page;
	memory->start = mmap(NULL, memory->len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory->start == MAP_FAILED) {
		error = -errno;
		free(memory);
		return give_int(env, error);
	}
	if (napi_create_external_arraybuffer(env, memory->start, used, memory_free, memory,
					     &result) != napi_ok) {
		memory_free(env, memory->start, memory);
		return give_int(env, -EOPNOTSUPP);
	}
	return result;
}

/* mapMemoryClose(buffer): detaches it; the memory goes when the runtime lets go of it. */
napi_value map_memory_close(napi_env env, napi_callback_info info)
{
	struct call c;

	if (!call_begin(&c, env, info, 1))
		return NULL;
	if (napi_detach_arraybuffer(env, c.argv[0]) != napi_ok)
		call_refuse(&c, 0, "an ArrayBuffer of mapMemory");
	return c.bad ? NULL : give_int(env, 0);
}
