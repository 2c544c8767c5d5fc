// SPDX-License-Identifier: Apache-2.0
/*
 * Keeps N ping-pong flows to one echo server address open and reports what happens to them.
 * A TCP flow that ends stays ended: every reset, close and failure is one flow lost.
 * Usage: flows --target ADDRESS:PORT [--count N] [--interval-ms I] [--timeout-ms T] [--udp]
 * Prints one JSON line when all flows have had an answer ("established"), one each second
 * ("second") and one on SIGTERM or SIGINT ("end").
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>
#include "address.h"
#include "clock.h"
#include "flow-list.h"
#include "histogram.h"
#include "tally.h"

static struct address target;
static unsigned count = 1;
static uint64_t interval = 100 * MS, timeout = 1000 * MS;
static bool udp;

static struct flow *flows;
static struct flow_list idle, awaiting;
static struct tally backends, errors;
static struct histogram gaps;
static uint64_t pings, resets, closed, timeouts, connect_failures, switched, answered, started_at;
static unsigned alive;
static int epfd;
static volatile sig_atomic_t stopping;

static void stop(int signal)
{
	stopping = signal;
}

static void report(const char *event)
{
	uint64_t now = now_ns(), worst = gaps.max;

	for (unsigned i = 0; i < count; i++)
		if (flows[i].state == OPEN && flows[i].sent_at && now - flows[i].sent_at > worst)
			worst = now - flows[i].sent_at;
	printf("{\"event\":\"%s\",\"seconds\":%.3f,\"flows\":%u,\"open\":%u,\"pings\":%llu,"
	       "\"resets\":%llu,\"closed\":%llu,\"timeouts\":%llu,\"connectFailures\":%llu,"
	       "\"switched\":%llu,\"maxGapMs\":%.2f,",
	       event, (now - started_at) / 1e9, count, alive, (unsigned long long)pings,
	       (unsigned long long)resets, (unsigned long long)closed, (unsigned long long)timeouts,
	       (unsigned long long)connect_failures, (unsigned long long)switched, worst / 1e6);
	print_tally("backends", &backends);
	printf(",");
	print_tally("errors", &errors);
	printf(",");
	print_histogram(&gaps);
	printf("}\n");
	fflush(stdout);
}

static void bury(struct flow *f, uint64_t *counter, const char *error)
{
	(*counter)++;
	if (error)
		tally_text(&errors, error);
	flow_remove(f);
	alive -= f->state == OPEN;
	f->state = DEAD;
	f->sent_at = 0;
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

/* A datagram socket survives its errors: the next ping is a new try. */
static void fail(struct flow *f, int error)
{
	const char *text = strerrorname_np(error);

	if (udp && f->fd >= 0) {
		tally_text(&errors, text);
		resets++;
		f->sent_at = 0;
		flow_append(&idle, f, now_ns() + interval);
	} else {
		bury(f, f->state == OPEN ? &resets : &connect_failures, text);
	}
}

static void send_ping(struct flow *f, uint64_t now)
{
	char line[32];
	int n = snprintf(line, sizeof(line), "%llu\n", (unsigned long long)++f->sequence);

	f->sent_at = now;
	f->have = 0;
	flow_append(&awaiting, f, now + timeout);
	if (send(f->fd, line, n, MSG_NOSIGNAL) != n)
		fail(f, errno);
}

static void start(struct flow *f, uint64_t now)
{
	int one = 1;
	struct epoll_event ev = {.events = EPOLLOUT, .data.ptr = f};

	f->fd = socket(target.sa.ss_family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);
	if (f->fd < 0)
		return fail(f, errno);
	f->state = CONNECTING;
	f->sent_at = now;
	flow_append(&awaiting, f, now + timeout);
	if (!udp)
		setsockopt(f->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(f->fd, (void *)&target.sa, target.len) && errno != EINPROGRESS)
		return bury(f, &connect_failures, strerrorname_np(errno));
	epoll_ctl(epfd, EPOLL_CTL_ADD, f->fd, &ev);
}

static void connected(struct flow *f)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = f};
	socklen_t len = sizeof(int);
	int error = 0;

	getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error)
		return bury(f, &connect_failures, strerrorname_np(error));
	epoll_ctl(epfd, EPOLL_CTL_MOD, f->fd, &ev);
	f->state = OPEN;
	alive++;
	send_ping(f, now_ns());
}

static void got_answer(struct flow *f)
{
	char *space = strchr(f->answer, ' '), *sequence = strrchr(f->answer, ' ');
	uint64_t now = now_ns();
	unsigned backend;

	/* a late answer to a ping that was given up */
	if (!sequence || strtoull(sequence, NULL, 10) != f->sequence || !f->sent_at)
		return;
	pings++;
	record(&gaps, now - f->sent_at);
	f->sent_at = 0;
	flow_append(&idle, f, now + interval);
	if (f->backend >= 0 &&
	    !strncmp(backends.entry[f->backend].name, f->answer, space - f->answer))
		return;
	backend = tally(&backends, f->answer, space - f->answer);
	if (f->backend >= 0) {
		switched++;
		backends.entry[f->backend].count--;
	} else if (++answered == count) {
		f->backend = backend;
		return report("established");
	}
	f->backend = backend;
}

static void receive(struct flow *f)
{
	ssize_t n = recv(f->fd, f->answer + f->have, sizeof(f->answer) - 1 - f->have, 0);

	if (n < 0 && errno != EAGAIN)
		return fail(f, errno);
	if (n == 0 && !udp)
		return bury(f, &closed, NULL);
	if (n <= 0)
		return;
	f->have += n;
	f->answer[f->have] = 0;
	if (f->answer[f->have - 1] == '\n') {
		f->have = 0;
		got_answer(f);
	}
}

/* Starts and pings what is due, counts what is overdue; returns when the next of both comes. */
static uint64_t run_queues(uint64_t now)
{
	struct flow *f;
	uint64_t next = UINT64_MAX;

	while ((f = idle.first) && f->when <= now) {
		if (f->state == UNBORN)
			start(f, now);
		else
			send_ping(f, now);
	}
	while ((f = awaiting.first) && f->when <= now) {
		flow_remove(f);
		if (f->state == CONNECTING) {
			bury(f, &connect_failures, "timeout");
			continue;
		}
		timeouts++;
		if (udp) {
			f->sent_at = 0;
			flow_append(&idle, f, now);
		}
	}
	if (idle.first)
		next = idle.first->when;
	if (awaiting.first && awaiting.first->when < next)
		next = awaiting.first->when;
	return next;
}

static void run(void)
{
	struct epoll_event ready[256];
	uint64_t next_report = started_at + SECOND;

	while (!stopping) {
		uint64_t now = now_ns(), next = run_queues(now);

		if (now >= next_report) {
			report("second");
			next_report += SECOND;
		}
		int n = epoll_wait(epfd, ready, 256,
				   wait_ms(now, next < next_report ? next : next_report));

		for (int i = 0; i < n; i++) {
			struct flow *f = ready[i].data.ptr;

			if (f->state == CONNECTING)
				connected(f);
			else if (f->state == OPEN)
				receive(f);
		}
	}
	report("end");
}

static void create_flows(void)
{
	struct rlimit files = {count + 64, count + 64};

	setrlimit(RLIMIT_NOFILE, &files);
	flows = calloc(count, sizeof(*flows));
	started_at = now_ns();
	for (unsigned i = 0; i < count; i++) {
		flows[i].fd = flows[i].backend = -1;
		flow_append(&idle, &flows[i], started_at + interval * i / count);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"target", 1, 0, 't'},	   {"count", 1, 0, 'n'}, {"interval-ms", 1, 0, 'i'},
		{"timeout-ms", 1, 0, 'o'}, {"udp", 0, 0, 'u'},	 {}};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 't':
			target = parse_address(optarg);
			break;
		case 'n':
			count = strtoul(optarg, NULL, 10);
			break;
		case 'i':
			interval = strtoull(optarg, NULL, 10) * MS;
			break;
		case 'o':
			timeout = strtoull(optarg, NULL, 10) * MS;
			break;
		case 'u':
			udp = true;
			break;
		default:
			return 2;
		}
	}
	if (!target.len || !count) {
		fprintf(stderr, "flows: --target ADDRESS:PORT is needed, --count is at least 1\n");
		return 2;
	}
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	epfd = epoll_create1(0);
	create_flows();
	run();
}
