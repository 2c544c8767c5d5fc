// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Raw bpf(2): libbpf 1.1 and the headers of Linux 6.1 know neither relative_fd
 * of tcx links nor the link ids of a query.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "call.h"
#include "link.h"

#define HOOK_MAX 64

struct link_create_attr {
	__u32 prog_fd;
	__u32 target; /* cgroup fd or ifindex */
	__u32 attach_type;
	__u32 flags;
	__u32 relative;
	__u32 pad;
	__u64 expected_revision;
};
_Static_assert(sizeof(struct link_create_attr) == 32, "link_create_attr");

struct query_attr {
	__u32 target;
	__u32 attach_type;
	__u32 query_flags;
	__u32 attach_flags;
	__u64 prog_ids;
	__u32 count;
	__u32 pad;
	__u64 prog_attach_flags;
	__u64 link_ids;
	__u64 link_attach_flags;
	__u64 revision;
};
_Static_assert(sizeof(struct query_attr) == 64, "query_attr");

static int64_t bpf_call(int command, void *attr, size_t len)
{
	long result = syscall(SYS_bpf, command, attr, len);

	return result < 0 ? -errno : result;
}

/* linkCreate(progFd, target, attachType, flags, relativeFdOrId) -> link fd */
napi_value link_create(napi_env env, napi_callback_info info)
{
	struct link_create_attr attr = {};
	struct call c;

	if (!call_begin(&c, env, info, 5))
		return NULL;
	attr.prog_fd = (uint32_t)arg_int(&c, 0);
	attr.target = arg_u32(&c, 1);
	attr.attach_type = arg_u32(&c, 2);
	attr.flags = arg_u32(&c, 3);
	attr.relative = arg_u32(&c, 4);
	if (c.bad)
		return NULL;
	return give_int(env, bpf_call(BPF_LINK_CREATE, &attr, sizeof(attr)));
}

/* linkUpdate(linkFd, progFd, oldProgFd or -1) */
napi_value link_update(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_link_update_opts, opts);
	int link_fd, prog_fd, old_fd;
	struct call c;

	if (!call_begin(&c, env, info, 3))
		return NULL;
	link_fd = arg_int(&c, 0);
	prog_fd = arg_int(&c, 1);
	old_fd = arg_int(&c, 2);
	if (c.bad)
		return NULL;
	if (old_fd >= 0) {
		opts.flags = BPF_F_REPLACE;
		opts.old_prog_fd = (uint32_t)old_fd;
	}
	return give_int(env, bpf_link_update(link_fd, prog_fd, &opts) ? -errno : 0);
}

/* linkDetach(linkFd): the link stays, attached to nothing. */
napi_value link_detach(napi_env env, napi_callback_info info)
{
	struct call c;
	int fd;

	if (!call_begin(&c, env, info, 1))
		return NULL;
	fd = arg_int(&c, 0);
	if (c.bad)
		return NULL;
	return give_int(env, bpf_link_detach(fd) ? -errno : 0);
}

/* hookQuery(target, attachType) -> u32 pairs {program id, link id}, in running order */
napi_value hook_query(napi_env env, napi_callback_info info)
{
	uint32_t progs[HOOK_MAX] = {}, links[HOOK_MAX] = {}, pairs[2 * HOOK_MAX];
	struct query_attr attr = {};
	struct call c;
	int64_t error;

	if (!call_begin(&c, env, info, 2))
		return NULL;
	attr.target = arg_u32(&c, 0);
	attr.attach_type = arg_u32(&c, 1);
	if (c.bad)
		return NULL;
	attr.prog_ids = (uintptr_t)progs;
	attr.link_ids = (uintptr_t)links;
	attr.count = HOOK_MAX;
	error = bpf_call(BPF_PROG_QUERY, &attr, sizeof(attr));
	if (error == -EINVAL) {
		/* cgroup hooks, and kernels before tcx, know no link ids. */
		attr.link_ids = 0;
		attr.count = HOOK_MAX;
		error = bpf_call(BPF_PROG_QUERY, &attr, offsetof(struct query_attr, link_ids));
	}
	if (error < 0)
		return give_int(env, error);
	if (attr.count > HOOK_MAX)
		return give_int(env, -E2BIG);
	for (uint32_t i = 0; i < attr.count; i++) {
		pairs[2 * i] = progs[i];
		pairs[2 * i + 1] = links[i];
	}
	return give_bytes(env, pairs, attr.count * 2 * sizeof(uint32_t));
}

/* xdpQuery(ifindex) -> u32 attach mode, program id, generic id, native id, offloaded id */
napi_value xdp_query(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	struct call c;
	int ifindex, error;

	if (!call_begin(&c, env, info, 1))
		return NULL;
	ifindex = arg_int(&c, 0);
	if (c.bad)
		return NULL;
	error = bpf_xdp_query(ifindex, 0, &opts);
	if (error)
		return give_int(env, error);
	uint32_t found[] = {opts.attach_mode, opts.prog_id, opts.skb_prog_id, opts.drv_prog_id,
			    opts.hw_prog_id};
	return give_bytes(env, found, sizeof(found));
}
