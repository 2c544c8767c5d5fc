/* SPDX-License-Identifier: Apache-2.0 */
/* What dial was asked to do. */
#ifndef TRAFFIC_DIAL_OPTIONS_H
#define TRAFFIC_DIAL_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include "address.h"
#include "clock.h"

static struct address target, source;
static double rate = 100;
static uint64_t limit = UINT64_MAX, run_time = UINT64_MAX, timeout = 1000 * MS;
static bool udp, once, unconnected, reset;

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{"target", 1, 0, 't'},	{"rate", 1, 0, 'r'},	    {"count", 1, 0, 'n'},
		{"seconds", 1, 0, 's'}, {"timeout-ms", 1, 0, 'o'},  {"udp", 0, 0, 'u'},
		{"source", 1, 0, 'a'},	{"source-port", 1, 0, 'p'}, {"unconnected", 0, 0, 'c'},
		{"reset", 0, 0, 'x'},	{"once", 0, 0, '1'},	    {}};
	unsigned port = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 't':
			target = parse_address(optarg);
			break;
		case 'r':
			rate = strtod(optarg, NULL);
			break;
		case 'n':
			limit = strtoull(optarg, NULL, 10);
			break;
		case 's':
			run_time = strtod(optarg, NULL) * SECOND;
			break;
		case 'o':
			timeout = strtoull(optarg, NULL, 10) * MS;
			break;
		case 'u':
			udp = true;
			break;
		case 'a':
			source = parse_address(optarg);
			break;
		case 'p':
			port = strtoul(optarg, NULL, 10);
			break;
		case 'c':
			unconnected = true;
			break;
		case 'x':
			reset = true;
			break;
		case '1':
			once = true;
			break;
		default:
			exit(2);
		}
	}
	if (!target.len || rate <= 0) {
		fprintf(stderr, "dial: --target ADDRESS:PORT is needed, --rate is above 0\n");
		exit(2);
	}
	if (once)
		limit = 1;
	if (port && !source.len)
		source = any_address(target.sa.ss_family, port);
}

#endif
