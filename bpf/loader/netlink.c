// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/netlink.h>
#include "netlink.h"
#include "watch.h"

/* Most bytes and datagrams handed over per wake-up; the kernel sends at most 32 kB at once. */
#define BATCH_BYTES	(512u << 10)
#define DATAGRAM_BYTES	(64u << 10)
#define BATCH_DATAGRAMS 256

struct netlink {
	struct handle handle;
	struct watch watch;
	int fd;
	int users; /* JavaScript's handle and the event loop */
	uint8_t batch[BATCH_BYTES];
};

static struct netlink *netlink_of(struct watch *watch)
{
	return (struct netlink *)((char *)watch - offsetof(struct netlink, watch));
}

static void netlink_release(struct netlink *nl)
{
	if (--nl->users == 0)
		free(nl);
}

static void on_closed(struct watch *watch)
{
	struct netlink *nl = netlink_of(watch);

	close(nl->fd);
	nl->fd = -1;
	netlink_release(nl);
}

static void netlink_free(napi_env env, void *data, void *hint)
{
	struct netlink *nl = data;

	watch_stop(&nl->watch);
	netlink_release(nl);
}

/* One datagram of the kernel to `to`; 0: nothing to keep. */
static ssize_t receive(struct netlink *nl, uint8_t *to)
{
	struct sockaddr_nl from = {};
	struct iovec iov = {.iov_base = to, .iov_len = DATAGRAM_BYTES};
	struct msghdr message = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1};
	ssize_t len = recvmsg(nl->fd, &message, MSG_DONTWAIT);

	if (len < 0)
		return -errno;
	if (from.nl_pid != 0)
		return 0; /* another process may write to us; only the kernel is believed */
	if (message.msg_flags & MSG_TRUNC)
		return -ENOBUFS; /* a part is lost, as in an overrun */
	return len;
}

/* Fills the batch; the error that ended it, 0 when there is nothing more for now. */
static int receive_batch(struct netlink *nl, size_t *len)
{
	ssize_t got;

	*len = 0;
	for (int i = 0; i < BATCH_DATAGRAMS && BATCH_BYTES - *len >= DATAGRAM_BYTES; i++) {
		got = receive(nl, nl->batch + *len);
		if (got == -EAGAIN || got == -EINTR)
			break;
		if (got < 0)
			return (int)got;
		*len += ((size_t)got + 3) / 4 * 4;
	}
	return 0;
}

/*
 * libuv takes the error state of an overrun for a broken descriptor and stops;
 * the socket itself knows what happened.
 */
static void on_ready(struct watch *watch, int poll_error)
{
	struct netlink *nl = netlink_of(watch);
	size_t len;
	int error = receive_batch(nl, &len);

	if (!error && poll_error)
		error = len ? watch_resume(watch) : poll_error;
	else if (error == -ENOBUFS && poll_error && watch_resume(watch))
		error = poll_error;
	if (len)
		watch_call(watch, nl->batch, len, 0);
	if (error)
		watch_call(watch, NULL, 0, error);
	if (error && error != -ENOBUFS)
		watch_stop(watch);
}

static int open_socket(int receive_bytes)
{
	struct sockaddr_nl self = {.nl_family = AF_NETLINK};
	int fd, on = 1, error;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd < 0)
		return -errno;
	/* beyond the limit of ordinary users where we may, else as far as allowed */
	if (receive_bytes > 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_bytes, sizeof(receive_bytes)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
	if (setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&self, sizeof(self))) {
		error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

/* netlinkOpen(receiveBytes, callback(messages, error), keepsRunning) -> handle */
napi_value netlink_open(napi_env env, napi_callback_info info)
{
	napi_valuetype type = napi_undefined;
	int receive_bytes, keeps_running, error;
	struct netlink *nl;
	struct call c;

	if (!call_begin(&c, env, info, 3))
		return NULL;
	receive_bytes = arg_int(&c, 0);
	keeps_running = arg_int(&c, 2);
	if (!c.bad && (napi_typeof(env, c.argv[1], &type) != napi_ok || type != napi_function))
		call_refuse(&c, 1, "a function");
	if (c.bad)
		return NULL;

	nl = calloc(1, sizeof(*nl));
	if (!nl)
		return give_int(env, -ENOMEM);
	nl->handle.kind = HANDLE_NETLINK;
	nl->watch.ready = on_ready;
	nl->watch.closed = on_closed;
	nl->fd = open_socket(receive_bytes);
	if (nl->fd < 0) {
		error = nl->fd;
		free(nl);
		return give_int(env, error);
	}
	error = watch_start(&nl->watch, env, nl->fd, c.argv[1]);
	if (error && !nl->watch.poll) {
		close(nl->fd);
		free(nl);
		return give_int(env, error);
	}
	nl->users = 1; /* the event loop */
	if (error)
		return give_int(env, error);
	watch_set_ref(&nl->watch, keeps_running != 0);
	nl->users++;
	return give_handle(env, &nl->handle, netlink_free);
}

static struct netlink *arg_netlink(struct call *c)
{
	struct netlink *nl = arg_handle(c, 0, HANDLE_NETLINK);

	if (nl && !nl->watch.open)
		call_refuse(c, 0, "a socket that is still open");
	return nl;
}

/* netlinkJoin(socket, group) */
napi_value netlink_join(napi_env env, napi_callback_info info)
{
	struct netlink *nl;
	struct call c;
	int group;

	if (!call_begin(&c, env, info, 2))
		return NULL;
	nl = arg_netlink(&c);
	group = arg_int(&c, 1);
	if (c.bad)
		return NULL;
	return give_int(
		env, setsockopt(nl->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group))
			     ? -errno
			     : 0);
}

/* netlinkSend(socket, request) */
napi_value netlink_send(napi_env env, napi_callback_info info)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct bytes request;
	struct netlink *nl;
	struct call c;
	ssize_t sent;

	if (!call_begin(&c, env, info, 2))
		return NULL;
	nl = arg_netlink(&c);
	request = arg_bytes(&c, 1);
	if (c.bad)
		return NULL;
	if (request.len < sizeof(struct nlmsghdr))
		return give_int(env, -EMSGSIZE);
	sent = sendto(nl->fd, request.data, request.len, MSG_DONTWAIT, (struct sockaddr *)&kernel,
		      sizeof(kernel));
	return give_int(env, sent < 0 ? -errno : 0);
}

/* netlinkClose(socket): no callback comes after it. */
napi_value netlink_close(napi_env env, napi_callback_info info)
{
	struct netlink *nl;
	struct call c;

	if (!call_begin(&c, env, info, 1))
		return NULL;
	nl = arg_handle(&c, 0, HANDLE_NETLINK);
	if (c.bad)
		return NULL;
	watch_stop(&nl->watch);
	return give_int(env, 0);
}
