// SPDX-License-Identifier: Apache-2.0
/*
 * Asks an echo server R times a second, each time anew: connect, request, answer, close (TCP), or
 * one datagram and its answer (UDP, a new socket each time unless the source port is fixed).
 * Usage: dial --target ADDRESS:PORT [--rate R] [--count N] [--seconds S] [--timeout-ms T]
 *             [--udp] [--source ADDRESS:PORT] [--source-port P] [--unconnected] [--reset]
 *        dial --once --target ...   prints the one answer or the one error
 * Prints a JSON line each second ("second") and one at the end or on SIGTERM ("end").
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>
#include "clock.h"
#include "dial-options.h"
#include "flow-list.h"
#include "histogram.h"
#include "tally.h"

#define SLOTS 32768

static struct flow slots[SLOTS];
static struct flow_list awaiting;
static struct tally backends, failed, peers;
static struct histogram latency;
static uint64_t dialled, ok, failures, started_at, last_ok, longest_silence;
static int epfd, shared_fd = -1;
static volatile sig_atomic_t stopping;

static void stop(int signal)
{
	stopping = signal;
}

static void report(const char *event)
{
	uint64_t now = now_ns(), silence = now - last_ok;

	printf("{\"event\":\"%s\",\"seconds\":%.3f,\"dialled\":%llu,\"ok\":%llu,\"failures\":%llu,"
	       "\"inFlight\":%llu,\"longestSilenceMs\":%.2f,",
	       event, (now - started_at) / 1e9, (unsigned long long)dialled, (unsigned long long)ok,
	       (unsigned long long)failures, (unsigned long long)(dialled - ok - failures),
	       (silence > longest_silence ? silence : longest_silence) / 1e6);
	print_tally("backends", &backends);
	printf(",");
	print_tally("peers", &peers);
	printf(",");
	print_tally("failed", &failed);
	printf(",");
	print_histogram(&latency);
	printf("}\n");
	fflush(stdout);
}

static void finish(struct flow *s)
{
	struct linger now = {.l_onoff = 1};

	flow_remove(s);
	if (reset && !udp)
		setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	if (s->fd >= 0 && s->fd != shared_fd)
		close(s->fd);
	s->fd = -1;
	s->state = UNBORN;
}

static void fail(struct flow *s, const char *why)
{
	failures++;
	tally_text(&failed, why);
	if (once)
		printf("{\"ok\":false,\"error\":\"%s\",\"ms\":%.3f}\n", why,
		       (now_ns() - s->sent_at) / 1e6);
	finish(s);
}

static void succeed(struct flow *s, const char *answer)
{
	uint64_t now = now_ns();
	const char *peer = strchr(answer, ' ') + 1;
	char name[64], peer_ip[64], local_ip[64];
	unsigned peer_port = 0, local_port = 0;

	ok++;
	record(&latency, now - s->sent_at);
	if (now - last_ok > longest_silence)
		longest_silence = now - last_ok;
	last_ok = now;
	tally(&backends, answer, peer - 1 - answer);
	tally(&peers, peer, strcspn(peer, " "));
	if (once && sscanf(answer, "%63s %63s %u %63s %u", name, peer_ip, &peer_port, local_ip,
			   &local_port) == 5)
		printf("{\"ok\":true,\"name\":\"%s\",\"peer\":\"%s\",\"peerPort\":%u,\"local\":\"%"
		       "s\","
		       "\"localPort\":%u,\"ms\":%.3f}\n",
		       name, peer_ip, peer_port, local_ip, local_port, (now - s->sent_at) / 1e6);
	finish(s);
}

static int open_socket(void)
{
	int type = udp ? SOCK_DGRAM : SOCK_STREAM, one = 1;
	int fd = socket(target.sa.ss_family, type | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (!udp)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (source.len) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(fd, (void *)&source.sa, source.len)) {
			close(fd);
			return -1;
		}
	}
	return fd;
}

static void send_request(struct flow *s)
{
	char line[32];
	int n = snprintf(line, sizeof(line), "%llu\n", (unsigned long long)s->sequence);

	s->state = OPEN;
	if (unconnected)
		n -= sendto(s->fd, line, n, 0, (void *)&target.sa, target.len);
	else
		n -= send(s->fd, line, n, MSG_NOSIGNAL);
	if (n)
		fail(s, strerrorname_np(errno));
}

static void dial(void)
{
	struct flow *s = &slots[dialled % SLOTS];
	struct epoll_event ev = {.events = EPOLLOUT, .data.ptr = s};

	s->sequence = dialled++;
	s->have = 0;
	s->sent_at = now_ns();
	s->fd = shared_fd >= 0 ? shared_fd : open_socket();
	if (s->fd < 0)
		return fail(s, strerrorname_np(errno));
	flow_append(&awaiting, s, s->sent_at + timeout);
	if (s->fd == shared_fd)
		return send_request(s);
	s->state = CONNECTING;
	if (connect(s->fd, (void *)&target.sa, target.len) && errno != EINPROGRESS)
		return fail(s, strerrorname_np(errno));
	epoll_ctl(epfd, EPOLL_CTL_ADD, s->fd, &ev);
}

static void connected(struct flow *s)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};
	socklen_t len = sizeof(int);
	int error = 0;

	getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error)
		return fail(s, strerrorname_np(error));
	epoll_ctl(epfd, EPOLL_CTL_MOD, s->fd, &ev);
	send_request(s);
}

static void receive(struct flow *s)
{
	ssize_t n = recv(s->fd, s->answer + s->have, sizeof(s->answer) - 1 - s->have, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		return fail(s, n ? strerrorname_np(errno) : "closed");
	s->have += n;
	s->answer[s->have] = 0;
	if (s->answer[s->have - 1] == '\n')
		succeed(s, s->answer);
}

/* Answers on the one socket of a fixed source port: the sequence says whose they are. */
static void receive_shared(void)
{
	struct sockaddr_storage from;
	char answer[360], *sequence;
	struct flow *s;

	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(shared_fd, answer, sizeof(answer) - 1, 0, (void *)&from, &len);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			if (awaiting.last)
				fail(awaiting.last, strerrorname_np(errno));
			continue;
		}
		answer[n] = 0;
		sequence = strrchr(answer, ' ');
		s = sequence ? &slots[strtoull(sequence, NULL, 10) % SLOTS] : NULL;
		if (!s || s->state != OPEN || s->sequence != strtoull(sequence, NULL, 10))
			continue;
		if (same_address(&from, &target.sa))
			succeed(s, answer);
		else
			fail(s, "foreign source");
	}
}

static uint64_t due_at(uint64_t n)
{
	return n >= limit ? UINT64_MAX : started_at + (uint64_t)(n * 1e9 / rate);
}

static void run(void)
{
	struct epoll_event ready[256];
	uint64_t next_report = started_at + SECOND, end = UINT64_MAX, now, next;

	if (run_time != UINT64_MAX)
		end = started_at + run_time;
	while (!stopping && (now = now_ns()) < end && (dialled < limit || awaiting.first)) {
		while (due_at(dialled) <= now && slots[dialled % SLOTS].state == UNBORN)
			dial();
		while (awaiting.first && awaiting.first->when <= now)
			fail(awaiting.first, "timeout");
		if (now >= next_report && !once)
			report("second");
		while (now >= next_report)
			next_report += SECOND;
		next = due_at(dialled);
		next = next < next_report ? next : next_report;
		if (awaiting.first && awaiting.first->when < next)
			next = awaiting.first->when;
		if (dialled >= limit && !awaiting.first)
			break;
		int n = epoll_wait(epfd, ready, 256, wait_ms(now, next));

		for (int i = 0; i < n; i++) {
			struct flow *s = ready[i].data.ptr;

			if (!s)
				receive_shared();
			else if (s->state == CONNECTING)
				connected(s);
			else if (s->state == OPEN)
				receive(s);
		}
	}
}

static void open_shared_socket(void)
{
	struct epoll_event ev = {.events = EPOLLIN};

	shared_fd = open_socket();
	if (shared_fd < 0)
		die("bind", "source port");
	if (!unconnected && connect(shared_fd, (void *)&target.sa, target.len))
		die("connect", "target");
	epoll_ctl(epfd, EPOLL_CTL_ADD, shared_fd, &ev);
}

int main(int argc, char **argv)
{
	struct rlimit files = {SLOTS + 64, SLOTS + 64};

	parse_options(argc, argv);
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	epfd = epoll_create1(0);
	if (udp && (source.len || unconnected))
		open_shared_socket();
	else
		unconnected = false;
	started_at = last_ok = now_ns();
	run();
	if (!once)
		report("end");
	return once && !ok;
}
