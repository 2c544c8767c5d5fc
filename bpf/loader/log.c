// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/libbpf.h>
#include "call.h"
#include "log.h"

#define LOG_KEPT 8192

/* Per thread: test runs happen on workers and must not write into another's text. */
static _Thread_local char kept[LOG_KEPT];
static _Thread_local size_t kept_len;

/* The verifier's verdict stands at the end of its log: when full, the oldest text goes. */
static void keep(const char *text, size_t len)
{
	if (len >= LOG_KEPT) {
		text += len - LOG_KEPT;
		len = LOG_KEPT;
	}
	if (kept_len + len > LOG_KEPT) {
		size_t drop = kept_len + len - LOG_KEPT;

		memmove(kept, kept + drop, kept_len - drop);
		kept_len -= drop;
	}
	memcpy(kept + kept_len, text, len);
	kept_len += len;
}

static int keep_message(enum libbpf_print_level level, const char *format, va_list args)
{
	char *text = NULL;
	int len;

	if (level != LIBBPF_WARN)
		return 0;
	len = vasprintf(&text, format, args);
	if (len > 0)
		keep(text, (size_t)len);
	if (len >= 0)
		free(text);
	return len;
}

void log_start(void)
{
	libbpf_set_print(keep_message);
}

/* The text since the last call; taking it empties it. */
napi_value log_take(napi_env env, napi_callback_info info)
{
	napi_value text = give_bytes(env, kept, kept_len);

	kept_len = 0;
	return text;
}
