// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* clsact filters, for kernels without tcx. */
#include <errno.h>
#include <bpf/libbpf.h>
#include "call.h"
#include "link.h"

/* Arguments 0 and 1: ifindex; 1 ingress, 2 egress, 3 both (of the qdisc itself). */
static struct bpf_tc_hook arg_hook(struct call *c)
{
	LIBBPF_OPTS(bpf_tc_hook, hook);

	hook.ifindex = arg_int(c, 0);
	hook.attach_point = arg_u32(c, 1);
	return hook;
}

/* tcHookCreate(ifindex, point): -EEXIST when clsact is there already */
napi_value tc_hook_create(napi_env env, napi_callback_info info)
{
	struct bpf_tc_hook hook;
	struct call c;

	if (!call_begin(&c, env, info, 2))
		return NULL;
	hook = arg_hook(&c);
	return c.bad ? NULL : give_int(env, bpf_tc_hook_create(&hook));
}

/* tcHookDestroy(ifindex, point): point 3 removes clsact with all filters, anyone's */
napi_value tc_hook_destroy(napi_env env, napi_callback_info info)
{
	struct bpf_tc_hook hook;
	struct call c;

	if (!call_begin(&c, env, info, 2))
		return NULL;
	hook = arg_hook(&c);
	return c.bad ? NULL : give_int(env, bpf_tc_hook_destroy(&hook));
}

/* tcAttach(ifindex, point, progFd, handle, priority): replaces what has this handle and priority */
napi_value tc_attach(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_tc_opts, opts);
	struct bpf_tc_hook hook;
	struct call c;

	if (!call_begin(&c, env, info, 5))
		return NULL;
	hook = arg_hook(&c);
	opts.prog_fd = arg_int(&c, 2);
	opts.handle = arg_u32(&c, 3);
	opts.priority = arg_u32(&c, 4);
	opts.flags = BPF_TC_F_REPLACE;
	return c.bad ? NULL : give_int(env, bpf_tc_attach(&hook, &opts));
}

/* tcDetach(ifindex, point, handle, priority) */
napi_value tc_detach(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_tc_opts, opts);
	struct bpf_tc_hook hook;
	struct call c;

	if (!call_begin(&c, env, info, 4))
		return NULL;
	hook = arg_hook(&c);
	opts.handle = arg_u32(&c, 2);
	opts.priority = arg_u32(&c, 3);
	return c.bad ? NULL : give_int(env, bpf_tc_detach(&hook, &opts));
}

/* tcQuery(ifindex, point, handle, priority) -> program id, or -ENOENT */
napi_value tc_query(napi_env env, napi_callback_info info)
{
	LIBBPF_OPTS(bpf_tc_opts, opts);
	struct bpf_tc_hook hook;
	struct call c;
	int error;

	if (!call_begin(&c, env, info, 4))
		return NULL;
	hook = arg_hook(&c);
	opts.handle = arg_u32(&c, 2);
	opts.priority = arg_u32(&c, 3);
	if (c.bad)
		return NULL;
	error = bpf_tc_query(&hook, &opts);
	return give_int(env, error ? error : (int64_t)opts.prog_id);
}
