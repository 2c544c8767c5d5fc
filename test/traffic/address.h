/* SPDX-License-Identifier: Apache-2.0 */
/* Socket addresses and their text: "10.0.0.1:80", "[fd00::1]:80". */
#ifndef TRAFFIC_ADDRESS_H
#define TRAFFIC_ADDRESS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct address {
	struct sockaddr_storage sa;
	socklen_t len;
};

static inline void die(const char *what, const char *on)
{
	fprintf(stderr, "%s: %s: %m\n", what, on);
	exit(1);
}

static inline void set_port(struct address *a, unsigned port)
{
	if (a->sa.ss_family == AF_INET)
		((struct sockaddr_in *)&a->sa)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)&a->sa)->sin6_port = htons(port);
}

/* Ends the program on text that is no numeric address. */
static inline struct address parse_address(const char *text)
{
	struct address a = {};
	struct sockaddr_in *in = (void *)&a.sa;
	struct sockaddr_in6 *in6 = (void *)&a.sa;
	char host[64] = {};
	const char *colon = strrchr(text, ':');
	const char *end = colon;
	const char *start = text;

	if (*text == '[') {
		start = text + 1;
		end = strchr(text, ']');
		colon = end && end[1] == ':' ? end + 1 : NULL;
	}
	if (!end || (size_t)(end - start) >= sizeof(host)) {
		fprintf(stderr, "not ADDRESS:PORT: %s\n", text);
		exit(2);
	}
	memcpy(host, start, end - start);
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		a.sa.ss_family = AF_INET;
		a.len = sizeof(*in);
	} else if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
		a.sa.ss_family = AF_INET6;
		a.len = sizeof(*in6);
	} else {
		fprintf(stderr, "not a numeric address: %s\n", host);
		exit(2);
	}
	set_port(&a, colon ? strtoul(colon + 1, NULL, 10) : 0);
	return a;
}

/* "10.0.0.1 80": an IPv4-mapped address is written as IPv4. */
static inline int format_address(char *to, size_t room, const struct sockaddr_storage *sa)
{
	const struct sockaddr_in *in = (const void *)sa;
	const struct sockaddr_in6 *in6 = (const void *)sa;
	char host[INET6_ADDRSTRLEN];

	if (sa->ss_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		return snprintf(to, room, "%s %u", host, ntohs(in->sin_port));
	}
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], host, sizeof(host));
	else
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
	return snprintf(to, room, "%s %u", host, ntohs(in6->sin6_port));
}

static inline bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in *in_a = (const void *)a, *in_b = (const void *)b;
	const struct sockaddr_in6 *in6_a = (const void *)a, *in6_b = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return in_a->sin_port == in_b->sin_port &&
		       in_a->sin_addr.s_addr == in_b->sin_addr.s_addr;
	return in6_a->sin6_port == in6_b->sin6_port &&
	       IN6_ARE_ADDR_EQUAL(&in6_a->sin6_addr, &in6_b->sin6_addr);
}

static inline struct address any_address(int family, unsigned port)
{
	struct address a = {.sa.ss_family = family};

	a.len = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	set_port(&a, port);
	return a;
}

#endif
