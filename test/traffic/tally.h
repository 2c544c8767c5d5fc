/* SPDX-License-Identifier: Apache-2.0 */
/* Counts by name: how often each backend answered, how often each error came. */
#ifndef TRAFFIC_TALLY_H
#define TRAFFIC_TALLY_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define TALLY_NAMES    1024
#define TALLY_NAME_LEN 64

struct tally {
	unsigned names;
	struct {
		char name[TALLY_NAME_LEN];
		uint64_t count;
	} entry[TALLY_NAMES];
};

/* Returns the name's index; all names beyond the table's room share the last one. */
static inline unsigned tally(struct tally *t, const char *name, size_t len)
{
	unsigned i;

	if (len >= TALLY_NAME_LEN)
		len = TALLY_NAME_LEN - 1;
	for (i = 0; i < t->names; i++)
		if (!strncmp(t->entry[i].name, name, len) && !t->entry[i].name[len])
			break;
	if (i == t->names) {
		if (i < TALLY_NAMES) {
			memcpy(t->entry[i].name, name, len);
			t->names++;
		} else {
			i = TALLY_NAMES - 1;
		}
	}
	t->entry[i].count++;
	return i;
}

static inline unsigned tally_text(struct tally *t, const char *name)
{
	return tally(t, name, strlen(name));
}

static inline void print_tally(const char *label, const struct tally *t)
{
	printf("\"%s\":{", label);
	for (unsigned i = 0; i < t->names; i++)
		printf("%s\"%s\":%llu", i ? "," : "", t->entry[i].name,
		       (unsigned long long)t->entry[i].count);
	printf("}");
}

#endif
