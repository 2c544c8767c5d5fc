// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/btf.h>
#include "object.h"

struct bpf_object *arg_object(struct call *c, size_t i)
{
	struct object *object = arg_handle(c, i, HANDLE_OBJECT);

	if (object && !object->bpf)
		call_refuse(c, i, "an object that is still open");
	return object ? object->bpf : NULL;
}

bool names_add(struct names *names, const char *name)
{
	size_t len = strlen(name) + 1;
	char *text = realloc(names->text, names->len + len);

	if (!text)
		return false;
	memcpy(text + names->len, name, len);
	names->text = text;
	names->len += len;
	return true;
}

static void object_free(napi_env env, void *data, void *hint)
{
	struct object *object = data;

	bpf_object__close(object->bpf);
	free(object);
}

/*
 * libbpf gives maps marked LIBBPF_PIN_BY_NAME a path directly under /sys/fs/bpf;
 * here only who asks for a path by objectSetMapPin gets one.
 */
static void forget_pin_paths(struct bpf_object *bpf)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, bpf) bpf_map__set_pin_path(map, NULL);
}

/* objectOpen(bytes, name) -> handle */
napi_value object_open(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts);
	struct object *object;
	char name[TEXT_MAX];
	struct bytes elf;
	struct call c;

	if (!call_begin(&c, env, info, 2))
		return NULL;
	elf = arg_bytes(&c, 0);
	arg_text(&c, 1, name);
	if (c.bad)
		return NULL;

	object = calloc(1, sizeof(*object));
	if (!object)
		return give_int(env, -ENOMEM);
	opts.object_name = name;
	object->handle.kind = HANDLE_OBJECT;
	object->bpf = bpf_object__open_mem(elf.data, elf.len, &opts);
	if (!object->bpf) {
		int error = errno;

		free(object);
		return give_int(env, error ? -error : -EINVAL);
	}
	forget_pin_paths(object->bpf);
	return give_handle(env, &object->handle, object_free);
}

/* objectLoad(object): creates the maps and loads the programs. */
napi_value object_load(napi_env env, napi_callback_info info)
{
	struct bpf_object *bpf;
	struct call c;

	if (!call_begin(&c, env, info, 1))
		return NULL;
	bpf = arg_object(&c, 0);
	if (c.bad)
		return NULL;
	return give_int(env, bpf_object__load(bpf));
}

/* objectClose(object): fds that were handed out stay open, they are duplicates. */
napi_value object_close(napi_env env, napi_callback_info info)
{
	struct object *object;
	struct call c;

	if (!call_begin(&c, env, info, 1))
		return NULL;
	object = arg_handle(&c, 0, HANDLE_OBJECT);
	if (c.bad)
		return NULL;
	bpf_object__close(object->bpf);
	object->bpf = NULL;
	return give_int(env, 0);
}

struct global {
	uint8_t *value;
	size_t size;
};

/* Finds a variable of one data section by its BTF description. */
static bool find_in_section(struct bpf_object *bpf, const char *section, const char *name,
			    struct global *out)
{
	struct btf *btf = bpf_object__btf(bpf);
	struct bpf_map *map = bpf_object__find_map_by_name(bpf, section);
	const struct btf_type *datasec;
	uint8_t *start;
	size_t len = 0;
	int id;

	if (!btf || !map)
		return false;
	id = btf__find_by_name_kind(btf, section, BTF_KIND_DATASEC);
	start = (uint8_t *)bpf_map__initial_value(map, &len);
	if (id < 0 || !start)
		return false;
	datasec = btf__type_by_id(btf, id);
	for (int i = 0; i < btf_vlen(datasec); i++) {
		const struct btf_var_secinfo *info = btf_var_secinfos(datasec) + i;
		const struct btf_type *var = btf__type_by_id(btf, info->type);
		const char *found = btf__name_by_offset(btf, var->name_off);

		if (!found || strcmp(found, name) != 0)
			continue;
		if ((size_t)info->offset + info->size > len)
			return false;
		*out = (struct global){.value = start + info->offset, .size = info->size};
		return true;
	}
	return false;
}

static int find_global(struct bpf_object *bpf, const char *name, struct global *out)
{
	static const char *const sections[] = {".rodata", ".data", ".bss"};

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		if (find_in_section(bpf, sections[i], name, out))
			return 0;
	return -ENOENT;
}

/* objectGlobalSize(object, name) -> bytes, or -ENOENT */
napi_value object_global_size(napi_env env, napi_callback_info info)
{
	struct bpf_object *bpf;
	struct global global;
	char name[TEXT_MAX];
	struct call c;
	int error;

	if (!call_begin(&c, env, info, 2))
		return NULL;
	bpf = arg_object(&c, 0);
	arg_text(&c, 1, name);
	if (c.bad)
		return NULL;
	error = find_global(bpf, name, &global);
	return give_int(env, error ? error : (int64_t)global.size);
}

/* objectSetGlobal(object, name, value): before loading only. */
napi_value object_set_global(napi_env env, napi_callback_info info)
{
	struct bpf_object *bpf;
	struct global global;
	struct bytes value;
	char name[TEXT_MAX];
	struct call c;
	int error;

	if (!call_begin(&c, env, info, 3))
		return NULL;
	bpf = arg_object(&c, 0);
	arg_text(&c, 1, name);
	value = arg_bytes(&c, 2);
	if (c.bad)
		return NULL;
	error = find_global(bpf, name, &global);
	if (error)
		return give_int(env, error);
	if (global.size != value.len)
		return give_int(env, -EMSGSIZE);
	memcpy(global.value, value.data, value.len);
	return give_int(env, 0);
}
