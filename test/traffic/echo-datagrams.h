/* SPDX-License-Identifier: Apache-2.0 */
/* The echo server's answer, and how it is given to datagrams. */
#ifndef TRAFFIC_ECHO_DATAGRAMS_H
#define TRAFFIC_ECHO_DATAGRAMS_H

#include <stdint.h>
#include "address.h"

#define REQUEST_MAX 128

static const char *name = "echo";

static int format_prefix(char *to, size_t room, const struct sockaddr_storage *peer,
			 const struct sockaddr_storage *local)
{
	int n = snprintf(to, room, "%s ", name);

	n += format_address(to + n, room - n, peer);
	to[n++] = ' ';
	n += format_address(to + n, room - n, local);
	to[n++] = ' ';
	return n;
}

static uint64_t filler_asked(const char *request)
{
	return strncmp(request, "send ", 5) ? 0 : strtoull(request + 5, NULL, 10);
}

/* The address a datagram was sent to, so that the answer leaves from it. */
static void read_destination(struct msghdr *msg, unsigned port, struct sockaddr_storage *to)
{
	struct sockaddr_in *in = (void *)to;
	struct sockaddr_in6 *in6 = (void *)to;

	memset(to, 0, sizeof(*to));
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			to->ss_family = AF_INET6;
			in6->sin6_addr = ((struct in6_pktinfo *)CMSG_DATA(c))->ipi6_addr;
			in6->sin6_port = htons(port);
			((struct in6_pktinfo *)CMSG_DATA(c))->ipi6_ifindex = 0;
			return;
		}
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo *info = (void *)CMSG_DATA(c);

			to->ss_family = AF_INET;
			in->sin_addr = info->ipi_addr;
			in->sin_port = htons(port);
			info->ipi_spec_dst = info->ipi_addr;
			info->ipi_ifindex = 0;
		}
	}
}

static void serve_datagrams(int fd, unsigned port)
{
	static char in[65536], out[65536];
	char control[256];
	struct sockaddr_storage peer, local;

	for (;;) {
		struct iovec iov = {in, sizeof(in) - 1};
		struct msghdr msg = {&peer, sizeof(peer), &iov, 1, control, sizeof(control), 0};
		ssize_t n = recvmsg(fd, &msg, 0);
		uint64_t more;
		int len;

		if (n < 0)
			return;
		if (n > 0 && in[n - 1] == '\n')
			n--;
		in[n] = 0;
		read_destination(&msg, port, &local);
		len = format_prefix(out, sizeof(out), &peer, &local);
		more = filler_asked(in);
		n = n < REQUEST_MAX ? n : REQUEST_MAX;
		memcpy(out + len, in, n);
		len += n;
		if (more > 60000)
			more = 60000;
		memset(out + len, 'x', more);
		len += more;
		out[len++] = '\n';
		iov = (struct iovec){out, len};
		sendmsg(fd, &msg, MSG_NOSIGNAL);
	}
}

#endif
