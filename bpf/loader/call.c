// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <limits.h>
#include <stdio.h>
#include <errno.h>
#include "call.h"

bool call_begin(struct call *c, napi_env env, napi_callback_info info, size_t want)
{
	c->env = env;
	c->bad = false;
	c->argc = CALL_MAX_ARGS;
	if (napi_get_cb_info(env, info, &c->argc, c->argv, NULL, NULL) != napi_ok ||
	    c->argc < want) {
		napi_throw_type_error(env, NULL, "too few arguments");
		c->bad = true;
	}
	return !c->bad;
}

void call_refuse(struct call *c, size_t i, const char *what)
{
	char message[80];

	if (c->bad)
		return;
	c->bad = true;
	snprintf(message, sizeof(message), "argument %zu must be %s", i, what);
	napi_throw_type_error(c->env, NULL, message);
}

int64_t arg_int64(struct call *c, size_t i)
{
	int64_t value = 0;

	if (!c->bad && napi_get_value_int64(c->env, c->argv[i], &value) != napi_ok)
		call_refuse(c, i, "an integer");
	return value;
}

int arg_int(struct call *c, size_t i)
{
	int64_t value = arg_int64(c, i);

	if (value < INT_MIN || value > INT_MAX)
		call_refuse(c, i, "a 32-bit integer");
	return (int)value;
}

uint32_t arg_u32(struct call *c, size_t i)
{
	int64_t value = arg_int64(c, i);

	if (value < 0 || value > UINT32_MAX)
		call_refuse(c, i, "an unsigned 32-bit integer");
	return (uint32_t)value;
}

bool arg_text(struct call *c, size_t i, char text[TEXT_MAX])
{
	size_t len = 0;

	text[0] = '\0';
	if (c->bad)
		return false;
	if (napi_get_value_string_utf8(c->env, c->argv[i], NULL, 0, &len) != napi_ok ||
	    len >= TEXT_MAX) {
		call_refuse(c, i, "text of at most 4095 bytes");
		return false;
	}
	napi_get_value_string_utf8(c->env, c->argv[i], text, TEXT_MAX, &len);
	return true;
}

struct bytes arg_bytes(struct call *c, size_t i)
{
	struct bytes b = {};
	void *data = NULL;
	bool is_buffer = false;

	if (c->bad)
		return b;
	if (napi_is_buffer(c->env, c->argv[i], &is_buffer) != napi_ok || !is_buffer ||
	    napi_get_buffer_info(c->env, c->argv[i], &data, &b.len) != napi_ok) {
		call_refuse(c, i, "a Buffer");
		return (struct bytes){};
	}
	b.data = data;
	return b;
}

struct bytes arg_optional_bytes(struct call *c, size_t i)
{
	napi_valuetype type = napi_undefined;

	if (!c->bad && i < c->argc)
		napi_typeof(c->env, c->argv[i], &type);
	if (type == napi_undefined || type == napi_null)
		return (struct bytes){};
	return arg_bytes(c, i);
}

void *arg_handle(struct call *c, size_t i, enum handle_kind kind)
{
	napi_valuetype type = napi_undefined;
	void *found = NULL;

	if (c->bad)
		return NULL;
	if (napi_typeof(c->env, c->argv[i], &type) != napi_ok || type != napi_external ||
	    napi_get_value_external(c->env, c->argv[i], &found) != napi_ok || !found ||
	    ((struct handle *)found)->kind != kind) {
		call_refuse(c, i, "a handle of the right kind");
		return NULL;
	}
	return found;
}

napi_value give_int(napi_env env, int64_t value)
{
	napi_value result = NULL;

	napi_create_int64(env, value, &result);
	return result;
}

napi_value give_bytes(napi_env env, const void *data, size_t len)
{
	napi_value result = NULL;

	if (napi_create_buffer_copy(env, len, data, NULL, &result) != napi_ok)
		return give_int(env, -ENOMEM);
	return result;
}

napi_value give_handle(napi_env env, struct handle *handle, napi_finalize finalize)
{
	napi_value result = NULL;

	if (napi_create_external(env, handle, finalize, NULL, &result) != napi_ok) {
		finalize(env, handle, NULL);
		return give_int(env, -ENOMEM);
	}
	return result;
}
