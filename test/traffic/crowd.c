// SPDX-License-Identifier: Apache-2.0
/*
 * Opens N TCP connections to one echo server address, each from a port of its own, has each
 * answered once, and holds them. A process may hold only so many files: several share the work.
 * Usage: crowd --target ADDRESS:PORT [--count N] [--rate R] [--timeout-ms T]
 *              [--source-ports LOW-HIGH]
 * Prints a JSON line each second ("second"), when every connection was opened or failed
 * ("opened"), when all open ones were asked again because of SIGUSR1 ("checked"), and on SIGTERM
 * ("end"), which closes them.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "address.h"
#include "clock.h"
#include "crowd-options.h"
#include "crowd-report.h"

#define PER_WORKER 15000
#define TICK	   (50 * MS)

enum state { FREE = 0, CONNECTING, ASKED, OPEN };

/* 16 bytes a connection; its index in a worker is that of its port. */
struct connection {
	uint64_t since;
	int fd;
	uint8_t state;
};

static struct worker *own;
static struct connection *connections;
static int epfd;
static volatile sig_atomic_t stopping, checks;

static void on_signal(int signal)
{
	if (signal == SIGUSR1)
		checks++;
	else
		stopping = signal;
}

/* `error` is an errno number, TIMEOUT or CLOSED. */
static void give_up(struct connection *c, int error)
{
	if (c->state == OPEN || (c->state == ASKED && c->since == 0)) {
		own->open--;
		if (error == CLOSED)
			own->closed++;
		else
			own->resets++;
	} else {
		own->failed[error]++;
	}
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->state = FREE;
}

static void ask(struct connection *c)
{
	c->state = ASKED;
	if (send(c->fd, "crowd\n", 6, MSG_NOSIGNAL) != 6)
		give_up(c, errno);
}

/* Returns an errno number, or 0 when the connection is under way. */
static int dial_from(struct connection *c, unsigned port)
{
	struct address from = any_address(target.sa.ss_family, port);
	int one = 1;

	c->fd = socket(target.sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return errno;
	setsockopt(c->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(c->fd, (void *)&from.sa, from.len))
		return errno;
	if (connect(c->fd, (void *)&target.sa, target.len) && errno != EINPROGRESS)
		return errno;
	return 0;
}

/* A port that another socket has is replaced by one of those nobody was to have. */
static void start(struct connection *c, unsigned port)
{
	struct epoll_event ev = {.events = EPOLLOUT, .data.ptr = c};
	int error;

	own->tried++;
	c->since = now_ns();
	c->state = CONNECTING;
	while ((error = dial_from(c, port)) == EADDRINUSE || error == EADDRNOTAVAIL) {
		port = low_port + count + atomic_fetch_add(&workers->spares_taken, 1);
		if (port > high_port)
			break;
		close(c->fd);
	}
	if (error)
		return give_up(c, error);
	epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &ev);
}

static void connected(struct connection *c)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	socklen_t len = sizeof(int);
	int error = 0;

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error)
		return give_up(c, error);
	epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &ev);
	ask(c);
}

static void receive(struct connection *c)
{
	char line[512];
	ssize_t n = recv(c->fd, line, sizeof(line), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		return give_up(c, n ? errno : CLOSED);
	if (line[n - 1] != '\n' || c->state != ASKED)
		return;
	c->state = OPEN;
	if (c->since) {
		c->since = 0;
		own->open++;
		own->answered++;
	} else {
		own->checked++;
	}
}

static void check_all(unsigned share)
{
	own->checked = 0;
	for (unsigned i = 0; i < share; i++)
		if (connections[i].state == OPEN)
			ask(&connections[i]);
	own->rounds++;
}

static void expire(unsigned share, uint64_t now)
{
	for (unsigned i = 0; i < share; i++) {
		struct connection *c = &connections[i];

		if ((c->state == CONNECTING || c->state == ASKED) && c->since &&
		    c->since + timeout < now)
			give_up(c, TIMEOUT);
	}
}

static void work(unsigned first, unsigned share)
{
	struct epoll_event ready[256];
	uint64_t next_look = started_at + TICK;
	unsigned tried = 0, checked = 0;

	connections = calloc(share, sizeof(*connections));
	epfd = epoll_create1(0);
	for (;;) {
		uint64_t now = now_ns(), due = (now - started_at) * (rate / workers_count) / 1e9;

		for (; tried < share && tried <= due; tried++)
			start(&connections[tried], low_port + first + tried);
		if (checked < (unsigned)checks) {
			checked = checks;
			check_all(share);
		}
		if (now >= next_look) {
			expire(tried, now);
			next_look = now + TICK;
		}
		int n = epoll_wait(epfd, ready, 256, tried < share ? 1 : 20);

		for (int i = 0; i < n; i++) {
			struct connection *c = ready[i].data.ptr;

			if (c->state == CONNECTING)
				connected(c);
			else if (c->state != FREE)
				receive(c);
		}
	}
}

static void send_all(int signal)
{
	for (unsigned i = 0; i < workers_count; i++)
		kill(workers[i].pid, signal);
}

/* Tells what became of it all until SIGTERM. */
static void supervise(void)
{
	uint64_t next_report = started_at + SECOND, deadline = 0;
	bool told = false;
	int passed_on = 0;

	while (!stopping) {
		struct timespec nap = {.tv_nsec = 10 * MS};
		uint64_t now;

		nanosleep(&nap, NULL);
		now = now_ns();
		if (!told && SUM(answered) + sum_failed() >= count) {
			told = true;
			report("opened");
		}
		if (passed_on < checks) {
			passed_on++;
			deadline = now + timeout;
			send_all(SIGUSR1);
		}
		if (deadline && SUM(rounds) >= passed_on * workers_count &&
		    (SUM(checked) >= SUM(open) || now >= deadline)) {
			deadline = 0;
			report("checked");
		}
		if (now >= next_report) {
			report("second");
			next_report += SECOND;
		}
	}
	report("end");
	send_all(SIGKILL);
	while (wait(NULL) > 0)
		;
}

static void hire(void)
{
	unsigned share = (count + workers_count - 1) / workers_count;

	for (unsigned i = 0; i < workers_count; i++) {
		unsigned first = i * share;
		pid_t parent = getpid(), pid = fork();

		if (pid < 0)
			die("fork", "worker");
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != parent)
				_exit(1);
			signal(SIGTERM, SIG_IGN);
			signal(SIGINT, SIG_IGN);
			own = &workers[i];
			work(first, first + share > count ? count - first : share);
		}
		workers[i].pid = pid;
	}
}

int main(int argc, char **argv)
{
	struct rlimit files;

	parse_options(argc, argv);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	workers_count = (count + PER_WORKER - 1) / PER_WORKER;
	workers = mmap(NULL, sizeof(*workers) * WORKERS_MAX, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (workers == MAP_FAILED)
		die("mmap", "counters");
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	signal(SIGUSR1, on_signal);
	started_at = now_ns();
	hire();
	supervise();
}
