/* SPDX-License-Identifier: Apache-2.0 */
/* What echo-server was asked to do. */
#ifndef TRAFFIC_ECHO_OPTIONS_H
#define TRAFFIC_ECHO_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include "echo-datagrams.h"

static bool tcp = true, udp = true, close_always;
static unsigned workers = 1;
static char *ports;

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {{"name", 1, 0, 'n'},
						{"ports", 1, 0, 'p'},
						{"tcp-only", 0, 0, 't'},
						{"udp-only", 0, 0, 'u'},
						{"close", 0, 0, 'c'},
						{"workers", 1, 0, 'w'},
						{}};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'n':
			name = optarg;
			break;
		case 'p':
			ports = optarg;
			break;
		case 't':
			udp = false;
			break;
		case 'u':
			tcp = false;
			break;
		case 'c':
			close_always = true;
			break;
		case 'w':
			workers = strtoul(optarg, NULL, 10);
			break;
		default:
			exit(2);
		}
	}
	if (!ports || strlen(name) > 63) {
		fprintf(stderr, "echo-server: --ports is needed, --name has at most 63 letters\n");
		exit(2);
	}
}

#endif
