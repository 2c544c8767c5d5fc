/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows in two queues, each ordered by time because everything is appended with the same delay:
 *   idle      sends its next ping at `when`
 *   awaiting  counts as timed out at `when`
 * A flow is in one queue at most.
 */
#ifndef TRAFFIC_FLOW_LIST_H
#define TRAFFIC_FLOW_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum flow_state { UNBORN = 0, CONNECTING, OPEN, DEAD };

struct flow {
	struct flow *prev, *next;
	struct flow_list *list;
	uint64_t when;
	uint64_t sent_at; /* 0: no ping is under way */
	uint64_t sequence;
	int fd;
	int backend; /* index in the tally of names, -1: not known yet */
	enum flow_state state;
	unsigned have; /* bytes of the answer so far */
	char answer[360];
};

struct flow_list {
	struct flow *first, *last;
};

static inline void flow_remove(struct flow *f)
{
	struct flow_list *list = f->list;

	if (!list)
		return;
	if (f->prev)
		f->prev->next = f->next;
	else
		list->first = f->next;
	if (f->next)
		f->next->prev = f->prev;
	else
		list->last = f->prev;
	f->list = NULL;
}

static inline void flow_append(struct flow_list *list, struct flow *f, uint64_t when)
{
	flow_remove(f);
	f->when = when;
	f->list = list;
	f->next = NULL;
	f->prev = list->last;
	if (list->last)
		list->last->next = f;
	else
		list->first = f;
	list->last = f;
}

#endif
