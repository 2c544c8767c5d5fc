// SPDX-License-Identifier: Apache-2.0
/*
 * Runs a command as a container runtime would: in a root directory, with these capabilities and no
 * others, without the way to new privileges, behind a system call filter.
 *
 *   container ROOT CAPABILITIES FILTER [NAME=VALUE...] -- COMMAND [ARGUMENT...]
 *
 * CAPABILITIES is a mask in hex; FILTER a file of struct sock_filter, or "-" for none.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_FILTER 4096

static struct sock_filter filter[MAX_FILTER];

static int fail(const char *what)
{
	fprintf(stderr, "container: %s: %s\n", what, strerror(errno));
	return 125;
}

static int read_filter(const char *path, struct sock_fprog *program)
{
	FILE *file;

	program->filter = filter;
	program->len = 0;
	if (!strcmp(path, "-"))
		return 0;
	file = fopen(path, "rb");
	if (!file)
		return -1;
	program->len = fread(filter, sizeof(filter[0]), MAX_FILTER, file);
	fclose(file);
	return program->len ? 0 : -1;
}

static int drop_capabilities(uint64_t kept)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {
		{kept, kept, 0},
		{kept >> 32, kept >> 32, 0},
	};

	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (!(kept >> cap & 1) && prctl(PR_CAPBSET_DROP, cap))
			return -1;
	return syscall(SYS_capset, &header, data);
}

int main(int argc, char **argv)
{
	struct sock_fprog program;
	int command = 4;

	while (command < argc && strcmp(argv[command], "--"))
		command++;
	if (argc < 6 || command + 1 >= argc) {
		fprintf(stderr,
			"usage: container ROOT CAPS FILTER [NAME=VALUE...] -- COMMAND...\n");
		return 125;
	}
	argv[command] = NULL;
	if (read_filter(argv[3], &program))
		return fail(argv[3]);
	if (chdir(argv[1]) || chroot("."))
		return fail(argv[1]);
	if (drop_capabilities(strtoull(argv[2], NULL, 16)))
		return fail("capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fail("no_new_privs");
	if (program.len && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return fail("seccomp");
	execve(argv[command + 1], &argv[command + 1], &argv[4]);
	return fail(argv[command + 1]);
}
