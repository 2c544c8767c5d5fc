// SPDX-License-Identifier: Apache-2.0
/*
 * Measures latency in a closed loop, one operation at a time, taking turns between targets so
 * that a slow moment of the machine hits all of them alike.
 *   crr: connect, request, answer, close       rr: request and answer on an open socket
 * Usage: lat --mode crr|rr --target [LABEL=]ADDRESS:PORT [--target ...] [--udp]
 *            [--count N | --seconds S] [--warmup N] [--size BYTES | --ask TEXT] [--reset]
 * Prints one JSON line per target. With crr the clock stops at the answer; closing is not timed.
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/time.h>
#include <unistd.h>
#include "address.h"
#include "clock.h"
#include "histogram.h"

#define TARGETS_MAX    16
#define SIZE_MAX_BYTES 60000

struct target {
	const char *label;
	struct address address;
	int fd;
	uint64_t errors, busy_ns, bytes; /* received */
	struct histogram latency;
};

static struct target targets[TARGETS_MAX];
static unsigned targets_count;
static uint64_t count = UINT64_MAX, run_time = UINT64_MAX, warmup = 100;
static bool crr, udp, reset;
static char request[SIZE_MAX_BYTES + 1];
static size_t size = 8;

static int open_socket(const struct target *t)
{
	int fd = socket(t->address.sa.ss_family, udp ? SOCK_DGRAM : SOCK_STREAM, 0), one = 1;
	struct timeval patience = {.tv_sec = 2};

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (!udp)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const void *)&t->address.sa, t->address.len)) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool ask(struct target *t)
{
	char answer[65536];
	ssize_t n;

	if (send(t->fd, request, size, MSG_NOSIGNAL) != (ssize_t)size)
		return false;
	do {
		n = recv(t->fd, answer, sizeof(answer), 0);
		if (n <= 0)
			return false;
		t->bytes += n;
	} while (answer[n - 1] != '\n');
	return true;
}

static void close_socket(int fd)
{
	struct linger now = {.l_onoff = 1};

	if (fd < 0)
		return;
	if (reset && !udp)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void measure(struct target *t, bool counts)
{
	uint64_t start = now_ns();
	bool answered;

	if (crr)
		t->fd = open_socket(t);
	answered = t->fd >= 0 && ask(t);
	uint64_t taken = now_ns() - start;

	if (answered && counts)
		record(&t->latency, taken);
	else if (!answered)
		t->errors++;
	if (crr || !answered)
		close_socket(t->fd);
	if (!crr && !answered)
		t->fd = open_socket(t);
	if (counts)
		t->busy_ns += now_ns() - start;
}

static void run(void)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < targets_count; i++)
		targets[i].fd = crr ? -1 : open_socket(&targets[i]);
	for (uint64_t n = 0; n < warmup; n++)
		for (unsigned i = 0; i < targets_count; i++)
			measure(&targets[i], false);
	end = run_time == UINT64_MAX ? UINT64_MAX : now_ns() + run_time;
	for (uint64_t n = 0; n < count && now_ns() < end; n++)
		for (unsigned i = 0; i < targets_count; i++)
			measure(&targets[i], true);
}

static void add_target(char *text)
{
	struct target *t = &targets[targets_count++];
	char *equals = strchr(text, '=');

	if (targets_count > TARGETS_MAX) {
		fprintf(stderr, "lat: at most %d targets\n", TARGETS_MAX);
		exit(2);
	}
	t->label = text;
	t->address = parse_address(equals ? equals + 1 : text);
	if (equals)
		*equals = 0;
}

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {{"mode", 1, 0, 'm'},
						{"target", 1, 0, 't'},
						{"count", 1, 0, 'n'},
						{"seconds", 1, 0, 's'},
						{"warmup", 1, 0, 'w'},
						{"size", 1, 0, 'z'},
						{"udp", 0, 0, 'u'},
						{"reset", 0, 0, 'x'},
						{"family", 1, 0, 'f'},
						{"ask", 1, 0, 'a'},
						{}};
	const char *mode = "";
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'm':
			mode = optarg;
			break;
		case 't':
			add_target(optarg);
			break;
		case 'n':
			count = strtoull(optarg, NULL, 10);
			break;
		case 's':
			run_time = strtod(optarg, NULL) * SECOND;
			break;
		case 'w':
			warmup = strtoull(optarg, NULL, 10);
			break;
		case 'z':
			size = strtoull(optarg, NULL, 10);
			break;
		case 'a':
			size = snprintf(request, sizeof(request), "%s\n", optarg);
			break;
		case 'u':
			udp = true;
			break;
		case 'x':
			reset = true;
			break;
		case 'f':
			break; /* the address says it */
		default:
			exit(2);
		}
	}
	crr = !strcmp(mode, "crr");
	if (!targets_count || (!crr && strcmp(mode, "rr"))) {
		fprintf(stderr, "lat: --mode crr or rr and a --target ADDRESS:PORT are needed\n");
		exit(2);
	}
	if (!size || size > SIZE_MAX_BYTES) {
		fprintf(stderr, "lat: --size is 1 to %d\n", SIZE_MAX_BYTES);
		exit(2);
	}
	if (count == UINT64_MAX && run_time == UINT64_MAX)
		count = 1000;
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	if (!*request) {
		memset(request, 'r', size);
		request[size - 1] = '\n';
	}
	run();
	for (unsigned i = 0; i < targets_count; i++) {
		struct target *t = &targets[i];

		printf("{\"target\":\"%s\",\"mode\":\"%s\",\"udp\":%s,\"errors\":%llu,"
		       "\"bytes\":%llu,\"ratePerSecond\":%.1f,",
		       t->label, crr ? "crr" : "rr", udp ? "true" : "false",
		       (unsigned long long)t->errors, (unsigned long long)t->bytes,
		       t->busy_ns ? t->latency.count * 1e9 / t->busy_ns : 0);
		print_histogram(&t->latency);
		printf("}\n");
	}
}
