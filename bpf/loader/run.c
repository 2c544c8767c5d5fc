// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include "call.h"
#include "run.h"

#define RUN_HEADER    4 /* u32 words before the bytes of a result */
#define RUN_BYTES_MAX (1u << 20)

/* One run; owns copies of all it needs, so that a worker thread can do it. */
struct run {
	struct bpf_test_run_opts opts;
	int fd;
	int error;
	uint8_t *data_in;
	uint8_t *ctx_in;
	uint32_t *result; /* header, data_out, ctx_out */
	size_t data_cap;
	size_t ctx_cap;
	napi_deferred deferred;
	napi_async_work work;
};

static void run_free(struct run *run)
{
	if (run->fd >= 0)
		close(run->fd);
	free(run->data_in);
	free(run->ctx_in);
	free(run->result);
	free(run);
}

static bool copy_in(uint8_t **to, struct bytes from)
{
	if (!from.data || !from.len)
		return true;
	*to = malloc(from.len);
	if (*to)
		memcpy(*to, from.data, from.len);
	return *to != NULL;
}

static int run_fill(struct run *run, int fd, struct bytes data, struct bytes ctx)
{
	size_t total = RUN_HEADER * sizeof(uint32_t) + run->data_cap + run->ctx_cap;

	/* a duplicate: the caller may close its own while a worker runs */
	run->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (run->fd < 0)
		return -errno;
	run->result = calloc(1, total);
	if (!run->result || !copy_in(&run->data_in, data) || !copy_in(&run->ctx_in, ctx))
		return -ENOMEM;
	run->opts.sz = sizeof(run->opts);
	run->opts.data_in = run->data_in;
	run->opts.data_size_in = run->data_in ? data.len : 0;
	run->opts.ctx_in = run->ctx_in;
	run->opts.ctx_size_in = run->ctx_in ? ctx.len : 0;
	run->opts.data_out = run->data_cap ? (uint8_t *)(run->result + RUN_HEADER) : NULL;
	run->opts.data_size_out = run->data_cap;
	run->opts.ctx_out =
		run->ctx_cap ? (uint8_t *)(run->result + RUN_HEADER) + run->data_cap : NULL;
	run->opts.ctx_size_out = run->ctx_cap;
	return 0;
}

/* (progFd, dataIn | null, ctxIn | null, dataOutSize, ctxOutSize, repeat) */
static struct run *arg_run(struct call *c, int *error)
{
	struct bytes data, ctx;
	uint32_t data_cap, ctx_cap;
	struct run *run;
	int fd, repeat;

	fd = arg_int(c, 0);
	data = arg_optional_bytes(c, 1);
	ctx = arg_optional_bytes(c, 2);
	data_cap = arg_u32(c, 3);
	ctx_cap = arg_u32(c, 4);
	repeat = arg_int(c, 5);
	*error = 0;
	if (c->bad)
		return NULL;
	*error = -E2BIG;
	if (data.len > RUN_BYTES_MAX || ctx.len > RUN_BYTES_MAX || data_cap > RUN_BYTES_MAX ||
	    ctx_cap > RUN_BYTES_MAX)
		return NULL;
	*error = -ENOMEM;
	run = calloc(1, sizeof(*run));
	if (!run)
		return NULL;
	run->data_cap = data_cap;
	run->ctx_cap = ctx_cap;
	run->opts.repeat = repeat;
	*error = run_fill(run, fd, data, ctx);
	if (*error) {
		run_free(run);
		return NULL;
	}
	return run;
}

static void run_execute(napi_env env, void *data)
{
	struct run *run = data;

	run->error = bpf_prog_test_run_opts(run->fd, &run->opts) ? -errno : 0;
}

/* u32 retval, duration in ns, data length, ctx length; then the data; then the context */
static napi_value run_result(napi_env env, struct run *run)
{
	uint32_t data_len = run->opts.data_out ? run->opts.data_size_out : 0;
	uint32_t ctx_len = run->opts.ctx_out ? run->opts.ctx_size_out : 0;
	uint8_t *bytes = (uint8_t *)(run->result + RUN_HEADER);

	if (run->error)
		return give_int(env, run->error);
	if (data_len > run->data_cap || ctx_len > run->ctx_cap)
		return give_int(env, -ENOSPC);
	run->result[0] = run->opts.retval;
	run->result[1] = run->opts.duration;
	run->result[2] = data_len;
	run->result[3] = ctx_len;
	memmove(bytes + data_len, bytes + run->data_cap, ctx_len);
	return give_bytes(env, run->result, RUN_HEADER * sizeof(uint32_t) + data_len + ctx_len);
}

/* testRun(...) -> result */
napi_value test_run(napi_env env, napi_callback_info info)
{
	napi_value result;
	struct run *run;
	struct call c;
	int error;

	if (!call_begin(&c, env, info, 6))
		return NULL;
	run = arg_run(&c, &error);
	if (!run)
		return c.bad ? NULL : give_int(env, error);
	run_execute(env, run);
	result = run_result(env, run);
	run_free(run);
	return result;
}

static void run_complete(napi_env env, napi_status status, void *data)
{
	struct run *run = data;

	if (status != napi_ok)
		run->error = -ECANCELED;
	napi_resolve_deferred(env, run->deferred, run_result(env, run));
	napi_delete_async_work(env, run->work);
	run_free(run);
}

/* testRunAsync(...) -> promise of the result, run on a worker thread */
napi_value test_run_async(napi_env env, napi_callback_info info)
{
	napi_value promise = NULL, name = NULL;
	struct run *run;
	struct call c;
	int error;

	if (!call_begin(&c, env, info, 6))
		return NULL;
	run = arg_run(&c, &error);
	if (!run)
		return c.bad ? NULL : give_int(env, error);
	napi_create_string_utf8(env, "kube-shunt test-run", NAPI_AUTO_LENGTH, &name);
	if (napi_create_async_work(env, NULL, name, run_execute, run_complete, run, &run->work) !=
	    napi_ok) {
		run_free(run);
		return give_int(env, -ENOMEM);
	}
	if (napi_create_promise(env, &run->deferred, &promise) != napi_ok ||
	    napi_queue_async_work(env, run->work) != napi_ok) {
		napi_delete_async_work(env, run->work);
		run_free(run);
		return give_int(env, -ENOMEM);
	}
	return promise;
}
