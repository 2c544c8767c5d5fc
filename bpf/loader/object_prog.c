// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include "object.h"

/* The program named by the arguments 0 and 1; NULL without an exception: there is none. */
static struct bpf_program *arg_program(struct call *c)
{
	struct bpf_object *bpf = arg_object(c, 0);
	char name[TEXT_MAX];

	arg_text(c, 1, name);
	return c->bad ? NULL : bpf_object__find_program_by_name(bpf, name);
}

/* objectPrograms(object) -> names, each ended by NUL */
napi_value object_programs(napi_env env, napi_callback_info info)
{
	struct names names = {};
	struct bpf_program *prog;
	struct bpf_object *bpf;
	napi_value result;
	struct call c;

	if (!call_begin(&c, env, info, 1))
		return NULL;
	bpf = arg_object(&c, 0);
	if (c.bad)
		return NULL;
	bpf_object__for_each_program(prog, bpf)
	{
		if (!names_add(&names, bpf_program__name(prog))) {
			free(names.text);
			return give_int(env, -ENOMEM);
		}
	}
	result = give_bytes(env, names.text, names.len);
	free(names.text);
	return result;
}

/* objectSetProgramType(object, program, type, attachType): for section names libbpf does not know.
 */
napi_value object_set_program_type(napi_env env, napi_callback_info info)
{
	uint32_t type, attach_type;
	struct bpf_program *prog;
	struct call c;
	int error;

	if (!call_begin(&c, env, info, 4))
		return NULL;
	prog = arg_program(&c);
	type = arg_u32(&c, 2);
	attach_type = arg_u32(&c, 3);
	if (c.bad)
		return NULL;
	if (!prog)
		return give_int(env, -ENOENT);
	error = bpf_program__set_type(prog, type);
	if (!error)
		error = bpf_program__set_expected_attach_type(prog, attach_type);
	return give_int(env, error);
}

/* objectSetAutoload(object, program, 0 or 1) */
napi_value object_set_autoload(napi_env env, napi_callback_info info)
{
	struct bpf_program *prog;
	struct call c;
	int wanted;

	if (!call_begin(&c, env, info, 3))
		return NULL;
	prog = arg_program(&c);
	wanted = arg_int(&c, 2);
	if (c.bad)
		return NULL;
	return give_int(env, prog ? bpf_program__set_autoload(prog, wanted != 0) : -ENOENT);
}

/* objectProgramFd(object, program) -> a duplicate that the caller closes */
napi_value object_program_fd(napi_env env, napi_callback_info info)
{
	struct bpf_program *prog;
	struct call c;
	int fd;

	if (!call_begin(&c, env, info, 2))
		return NULL;
	prog = arg_program(&c);
	if (c.bad)
		return NULL;
	if (!prog)
		return give_int(env, -ENOENT);
	fd = bpf_program__fd(prog);
	if (fd >= 0)
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	else
		errno = EBADF;
	return give_int(env, fd >= 0 ? fd : -errno);
}
