// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "call.h"
#include "probe.h"

#define ATTACH_TCX_INGRESS 46

/* probeMapType(type) -> 1 yes, 0 no, or a negative errno when it could not be found out */
napi_value probe_map_type(napi_env env, napi_callback_info info)
{
	uint32_t type;
	struct call c;

	if (!call_begin(&c, env, info, 1))
		return NULL;
	type = arg_u32(&c, 0);
	return c.bad ? NULL : give_int(env, libbpf_probe_bpf_map_type(type, NULL));
}

/* probeProgType(type) -> as above */
napi_value probe_prog_type(napi_env env, napi_callback_info info)
{
	uint32_t type;
	struct call c;

	if (!call_begin(&c, env, info, 1))
		return NULL;
	type = arg_u32(&c, 0);
	return c.bad ? NULL : give_int(env, libbpf_probe_bpf_prog_type(type, NULL));
}

/*
 * Not libbpf_probe_bpf_helper(): libbpf 1.1 does not know the verifier's newer
 * words "cannot use helper" (Linux 6.8) and would take them for a yes.
 */
static int try_helper(uint32_t type, int32_t helper)
{
	static const char *const refusals[] = {"invalid func", "unknown func", "cannot use helper"};
	/* call helper; exit */
	struct bpf_insn insns[] = {
		{.code = BPF_JMP | BPF_CALL, .imm = helper},
		{.code = BPF_JMP | BPF_EXIT},
	};
	char log[4096] = "";
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .log_buf = log, .log_size = sizeof(log),
		    .log_level = 1);
	int fd;

	if (type == BPF_PROG_TYPE_CGROUP_SOCK_ADDR)
		opts.expected_attach_type = BPF_CGROUP_INET4_CONNECT;
	fd = bpf_prog_load(type, "ksh_probe_func", "GPL", insns, 2, &opts);
	if (fd >= 0) {
		close(fd);
		return 1;
	}
	if (log[0] == '\0') /* refused before the verifier looked at the helper */
		return errno == EPERM || errno == EACCES ? -errno : 0;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (strstr(log, refusals[i]))
			return 0;
	return 1; /* it complains about the arguments: the helper itself is there */
}

/* probeHelper(program type, helper id) -> as above */
napi_value probe_helper(napi_env env, napi_callback_info info)
{
	uint32_t type;
	struct call c;
	int helper;

	if (!call_begin(&c, env, info, 2))
		return NULL;
	type = arg_u32(&c, 0);
	helper = arg_int(&c, 1);
	return c.bad ? NULL : give_int(env, try_helper(type, helper));
}

/*
 * Attaches a program that does nothing to a device that cannot exist: with tcx
 * the kernel misses the device, without it the attach type.
 */
static int try_tcx(void)
{
	/* r0 = TC_ACT_UNSPEC; exit */
	struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = -1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	__u32 attr[8] = {};
	int prog, link, error;

	prog = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "ksh_probe_tcx", "GPL", insns, 2, NULL);
	if (prog < 0)
		return -errno;
	attr[0] = (__u32)prog;
	attr[1] = INT_MAX;
	attr[2] = ATTACH_TCX_INGRESS;
	link = (int)syscall(SYS_bpf, BPF_LINK_CREATE, attr, sizeof(attr));
	error = link < 0 ? errno : 0;
	if (link >= 0)
		close(link);
	close(prog);
	if (error == EPERM || error == EACCES)
		return -error;
	return error == 0 || error == ENODEV;
}

/* probeTcx() -> as above */
napi_value probe_tcx(napi_env env, napi_callback_info info)
{
	return give_int(env, try_tcx());
}

/* probeMmapable() -> as above */
napi_value probe_mmapable(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ksh_probe_mmap", 4, 8, 1, &opts);

	if (fd < 0)
		return give_int(env, errno == EPERM || errno == EACCES ? -errno : 0);
	close(fd);
	return give_int(env, 1);
}
