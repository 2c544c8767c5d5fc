// SPDX-License-Identifier: Apache-2.0
/*
 * Answers each TCP line and each UDP datagram with one line:
 *   NAME PEER-ADDRESS PEER-PORT LOCAL-ADDRESS LOCAL-PORT REQUEST
 * A request may ask for more by its first word:
 *   send N   N bytes of filler follow REQUEST in the same line or datagram
 *   close    close after the answer        reset   answer with a reset
 * Usage: echo-server --name NAME --ports P,P,... [--tcp-only|--udp-only] [--close] [--workers N]
 * A process may hold only so many connections: more workers hold more.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "address.h"
#include "echo-datagrams.h"
#include "echo-options.h"

#define MAX_FDS	   65536
#define FILLER_MAX 65536

enum kind { FREE = 0, LISTENER, DATAGRAMS, CONNECTION };

struct socket {
	enum kind kind;
	unsigned port;
	char prefix[224]; /* all of the answer that comes before REQUEST */
	int prefix_len;
	char request[REQUEST_MAX]; /* the first bytes of the line so far */
	int request_len;
	uint64_t filler; /* bytes still to send, newline included */
	bool closing;
};

static struct socket sockets[MAX_FDS];
static char filler[FILLER_MAX];
static int epfd;

static void watch(int fd, enum kind kind, unsigned port)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	if (fd >= MAX_FDS) {
		close(fd);
		return;
	}
	memset(&sockets[fd], 0, sizeof(sockets[fd]));
	sockets[fd].kind = kind;
	sockets[fd].port = port;
	epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev);
}

static void forget(int fd)
{
	sockets[fd].kind = FREE;
	close(fd);
}

/* One socket serves both families; where the kernel has no IPv6, IPv4 alone. */
static void listen_on(int type, unsigned port)
{
	int one = 1, zero = 0, family = AF_INET6;
	int fd = socket(family, type | SOCK_NONBLOCK, 0);
	char text[16];

	if (fd < 0) {
		family = AF_INET;
		fd = socket(family, type | SOCK_NONBLOCK, 0);
	}
	struct address any = any_address(family, port);

	snprintf(text, sizeof(text), "port %u", port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	} else {
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	}
	if (bind(fd, (void *)&any.sa, any.len))
		die("bind", text);
	if (type == SOCK_STREAM && listen(fd, 4096))
		die("listen", text);
	watch(fd, type == SOCK_STREAM ? LISTENER : DATAGRAMS, port);
}

static void accept_all(int listener)
{
	struct sockaddr_storage peer, local;
	socklen_t len;
	int fd, one = 1;

	for (;;) {
		len = sizeof(peer);
		fd = accept4(listener, (void *)&peer, &len, SOCK_NONBLOCK);
		if (fd < 0 && errno == EMFILE) /* we are full: another worker may not be */
			epoll_ctl(epfd, EPOLL_CTL_DEL, listener, NULL);
		if (fd < 0)
			return;
		len = sizeof(local);
		getsockname(fd, (void *)&local, &len);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		watch(fd, CONNECTION, sockets[listener].port);
		if (fd < MAX_FDS)
			sockets[fd].prefix_len = format_prefix(
				sockets[fd].prefix, sizeof(sockets[fd].prefix), &peer, &local);
	}
}

/* Returns false when the connection is gone. */
static bool send_filler(int fd)
{
	struct socket *s = &sockets[fd];
	struct epoll_event ev = {.events = EPOLLOUT, .data.fd = fd};

	while (s->filler > 0) {
		size_t part = s->filler > FILLER_MAX ? FILLER_MAX : s->filler;
		bool last = part == s->filler;
		/* the newline ends the filler, so the last byte of a last part is one */
		ssize_t n = send(fd, filler + (last ? FILLER_MAX - part : 0),
				 last ? part : part - 1, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &ev);
			return true;
		}
		if (n < 0) {
			forget(fd);
			return false;
		}
		s->filler -= n;
	}
	if (s->closing) {
		forget(fd);
		return false;
	}
	return true;
}

/* Returns false when the connection is gone. */
static bool answer(int fd)
{
	struct socket *s = &sockets[fd];
	struct linger now = {.l_onoff = 1};
	char line[sizeof(s->prefix) + REQUEST_MAX + 1];
	int n;

	s->request[s->request_len] = 0;
	if (!strncmp(s->request, "reset", 5)) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		forget(fd);
		return false;
	}
	memcpy(line, s->prefix, s->prefix_len);
	memcpy(line + s->prefix_len, s->request, s->request_len);
	n = s->prefix_len + s->request_len;
	s->filler = filler_asked(s->request);
	if (s->filler)
		s->filler++;
	else
		line[n++] = '\n';
	s->closing = close_always || !strncmp(s->request, "close", 5);
	s->request_len = 0;
	if (send(fd, line, n, MSG_NOSIGNAL) != n) {
		forget(fd);
		return false;
	}
	return send_filler(fd);
}

static void serve_connection(int fd)
{
	struct socket *s = &sockets[fd];
	char in[65536];
	ssize_t n = recv(fd, in, sizeof(in), 0);
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			forget(fd);
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (in[i] != '\n') {
			/* a longer line is an upload: its rest only counts as received */
			if (s->request_len < REQUEST_MAX - 1)
				s->request[s->request_len++] = in[i];
		} else if (!answer(fd)) {
			return;
		}
	}
	if (!s->filler)
		epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &ev);
}

static void resume_connection(int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	if (send_filler(fd) && !sockets[fd].filler)
		epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &ev);
}

static void serve(void)
{
	struct epoll_event ready[256];

	for (;;) {
		int n = epoll_wait(epfd, ready, 256, -1);

		for (int i = 0; i < n; i++) {
			int fd = ready[i].data.fd;

			if (sockets[fd].kind == LISTENER)
				accept_all(fd);
			else if (sockets[fd].kind == DATAGRAMS)
				serve_datagrams(fd, sockets[fd].port);
			else if (sockets[fd].kind == CONNECTION && sockets[fd].filler)
				resume_connection(fd);
			else if (sockets[fd].kind == CONNECTION)
				serve_connection(fd);
		}
	}
}

/* Starts more processes with the same listeners; each then waits for itself. */
static void share_work(void)
{
	pid_t parent = getpid();

	for (unsigned i = 1; i < workers && getpid() == parent; i++)
		if (fork() == 0)
			prctl(PR_SET_PDEATHSIG, SIGKILL);
	epfd = epoll_create1(0);
	for (int fd = 0; fd < MAX_FDS; fd++) {
		struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

		if (sockets[fd].kind != FREE)
			epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev);
	}
}

int main(int argc, char **argv)
{
	struct rlimit files = {MAX_FDS, MAX_FDS};
	pid_t leader = getpid();

	parse_options(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	setrlimit(RLIMIT_NOFILE, &files);
	memset(filler, 'x', sizeof(filler) - 1);
	filler[FILLER_MAX - 1] = '\n';
	epfd = -1;
	for (char *p = strtok(ports, ","); p; p = strtok(NULL, ",")) {
		if (tcp)
			listen_on(SOCK_STREAM, strtoul(p, NULL, 10));
		if (udp)
			listen_on(SOCK_DGRAM, strtoul(p, NULL, 10));
	}
	share_work();
	if (getpid() == leader) {
		printf("{\"event\":\"listening\",\"name\":\"%s\"}\n", name);
		fflush(stdout);
	}
	serve();
}
