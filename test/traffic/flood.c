// SPDX-License-Identifier: Apache-2.0
/*
 * Sends TCP connection requests from spoofed addresses and random ports, as fast as one core can
 * or at a given rate, without ever answering what comes back.
 * Usage: flood --target ADDRESS:PORT --sources CIDR --device NAME --mac MAC
 *              [--count N] [--seconds S] [--rate R]
 * --mac is that of the next hop. Prints a JSON line each second ("second") and at the end or on
 * SIGTERM ("end"); without --count and --seconds it ends after 10 seconds.
 */
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>
#include "address.h"
#include "clock.h"
#include "flood-frames.h"

#define BATCH 64

static const char *device;
static uint8_t next_hop[ETH_ALEN];
static uint64_t limit = UINT64_MAX, run_time = UINT64_MAX, sent, refused, started_at;
static double rate;
static struct frame frames[BATCH];
static volatile sig_atomic_t stopping;

static void stop(int signal)
{
	stopping = signal;
}

static int open_device(void)
{
	struct ifreq request = {};
	struct sockaddr_ll at = {.sll_family = AF_PACKET};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1;

	if (fd < 0)
		die("socket", "AF_PACKET");
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	at.sll_ifindex = if_nametoindex(device);
	if (bind(fd, (void *)&at, sizeof(at)))
		die("bind", device);
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	for (unsigned i = 0; i < BATCH; i++) {
		memset(&frames[i], 0, sizeof(frames[i]));
		memcpy(frames[i].eth.h_dest, next_hop, ETH_ALEN);
	}
	if (ioctl(fd, SIOCGIFHWADDR, &request))
		die("SIOCGIFHWADDR", device);
	for (unsigned i = 0; i < BATCH; i++)
		memcpy(frames[i].eth.h_source, request.ifr_hwaddr.sa_data, ETH_ALEN);
	return fd;
}

static void report(const char *event)
{
	double seconds = (now_ns() - started_at) / 1e9;

	printf("{\"event\":\"%s\",\"seconds\":%.3f,\"sent\":%llu,\"refused\":%llu,"
	       "\"ratePerSecond\":%.0f}\n",
	       event, seconds, (unsigned long long)sent, (unsigned long long)refused,
	       seconds > 0 ? sent / seconds : 0);
	fflush(stdout);
}

static void send_batch(int fd, unsigned n)
{
	struct mmsghdr messages[BATCH] = {};
	struct iovec parts[BATCH];
	bool is_v4 = target.sa.ss_family == AF_INET;
	int done;

	for (unsigned i = 0; i < n; i++) {
		if (is_v4)
			write4(&frames[i]);
		else
			write6(&frames[i]);
		parts[i].iov_base = &frames[i].eth;
		parts[i].iov_len = ETH_HLEN + (is_v4 ? sizeof(frames[i].v4) : sizeof(frames[i].v6));
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	done = sendmmsg(fd, messages, n, 0);
	if (done < 0 && errno != ENOBUFS && errno != EINTR)
		die("sendmmsg", device);
	sent += done < 0 ? 0 : done;
	refused += n - (done < 0 ? 0 : done);
}

/* How many of a batch are due, at most a whole one. */
static unsigned due(uint64_t now)
{
	uint64_t so_far = sent + refused, left = limit > so_far ? limit - so_far : 0;
	uint64_t wanted = BATCH;

	if (rate > 0) {
		uint64_t allowed = (now - started_at) * rate / 1e9;

		wanted = allowed > so_far ? allowed - so_far : 0;
	}
	if (wanted > left)
		wanted = left;
	return wanted < BATCH ? wanted : BATCH;
}

static void run(int fd)
{
	uint64_t next_report = started_at + SECOND, now;

	while (!stopping && sent + refused < limit && (now = now_ns()) - started_at < run_time) {
		unsigned n = due(now);
		struct timespec nap = {.tv_nsec = MS};

		if (n)
			send_batch(fd, n);
		else
			nanosleep(&nap, NULL);
		if (now >= next_report) {
			report("second");
			next_report += SECOND;
		}
	}
	report("end");
}

static void parse_sources(char *text)
{
	char *slash = strchr(text, '/'), host[80];

	if (!slash) {
		fprintf(stderr, "flood: --sources is ADDRESS/BITS\n");
		exit(2);
	}
	prefix_length = strtoul(slash + 1, NULL, 10);
	*slash = 0;
	snprintf(host, sizeof(host), strchr(text, ':') ? "[%s]:0" : "%s:0", text);
	sources = parse_address(host);
}

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {{"target", 1, 0, 't'}, {"sources", 1, 0, 'a'},
						{"device", 1, 0, 'd'}, {"mac", 1, 0, 'm'},
						{"count", 1, 0, 'n'},  {"seconds", 1, 0, 's'},
						{"rate", 1, 0, 'r'},   {}};
	uint8_t *m = next_hop;
	bool has_mac = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 't':
			target = parse_address(optarg);
			break;
		case 'a':
			parse_sources(optarg);
			break;
		case 'd':
			device = optarg;
			break;
		case 'm':
			has_mac = sscanf(optarg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", m, m + 1, m + 2,
					 m + 3, m + 4, m + 5) == 6;
			break;
		case 'n':
			limit = strtoull(optarg, NULL, 10);
			break;
		case 's':
			run_time = strtod(optarg, NULL) * SECOND;
			break;
		case 'r':
			rate = strtod(optarg, NULL);
			break;
		default:
			exit(2);
		}
	}
	if (!device || !has_mac || !target.len || target.sa.ss_family != sources.sa.ss_family) {
		fprintf(stderr, "flood: --target, --sources of its family, --device, --mac\n");
		exit(2);
	}
	if (limit == UINT64_MAX && run_time == UINT64_MAX)
		run_time = 10 * SECOND;
}

int main(int argc, char **argv)
{
	int fd;

	parse_options(argc, argv);
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	fd = open_device();
	started_at = now_ns();
	seed = started_at | 1;
	run(fd);
}
