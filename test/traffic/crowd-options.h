/* SPDX-License-Identifier: Apache-2.0 */
/* What crowd was asked to do. */
#ifndef TRAFFIC_CROWD_OPTIONS_H
#define TRAFFIC_CROWD_OPTIONS_H

#include <getopt.h>
#include "address.h"
#include "clock.h"

static struct address target;
static unsigned count = 1000, low_port = 10000, high_port = 65535;
static uint64_t timeout = 5000 * MS;
static double rate = 10000;

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{"target", 1, 0, 't'},	   {"count", 1, 0, 'n'},	{"rate", 1, 0, 'r'},
		{"timeout-ms", 1, 0, 'o'}, {"source-ports", 1, 0, 'p'}, {}};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 't':
			target = parse_address(optarg);
			break;
		case 'n':
			count = strtoul(optarg, NULL, 10);
			break;
		case 'r':
			rate = strtod(optarg, NULL);
			break;
		case 'o':
			timeout = strtoull(optarg, NULL, 10) * MS;
			break;
		case 'p':
			if (sscanf(optarg, "%u-%u", &low_port, &high_port) != 2)
				exit(2);
			break;
		default:
			exit(2);
		}
	}
	if (!target.len || !count || rate <= 0 || high_port > 65535 ||
	    low_port + count > high_port + 1) {
		fprintf(stderr,
			"crowd: --target is needed, and a source port for each of --count\n");
		exit(2);
	}
}

#endif
