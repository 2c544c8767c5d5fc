/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who may have a reply tuple? Whoever has it owns the translation of its packets. */
#ifndef KUBE_SHUNT_CLAIM_H
#define KUBE_SHUNT_CLAIM_H

#include "flow.h"

enum claim {
	CLAIM_OURS = 0, /* the reverse half is in half_open and undoes our tuple */
	CLAIM_ESTABLISHED, /* it is in `flows`: only our own half was lost */
	CLAIM_TAKEN, /* a living flow has this reply tuple */
	CLAIM_WAITING, /* so has one that is half open */
	CLAIM_OVER, /* a flow that is over has it: remove_owner, then try again */
	CLAIM_REFUSED, /* the table would not take it */
};

/*
 * Has this owner done with its tuple, so that `key` (which opens a flow) may have it? The same
 * client may use a port again as soon as the connection began to close.
 */
static __always_inline bool has_left(const struct flow_key *reply_key, const struct flow *owner,
				     const struct flow_key *key, __u32 now)
{
	if (is_expired(reply_key, owner, now))
		return true;
	if (!has_handshake(key->proto))
		return false;
	return is_over(owner->flags) || (owner->flags & FLOW_CLOSING && is_twin(owner, key));
}

/* Whoever has this tuple, established or not. */
static __always_inline struct flow *lookup_owner(const struct flow_key *key)
{
	struct flow *owner = bpf_map_lookup_elem(&flows, key);

	return owner ? owner : bpf_map_lookup_elem(&half_open, key);
}

/* Removes whoever has the reply tuple of `flow`, with its other half. */
__noinline int remove_owner(const struct flow_key *key, const struct flow *flow)
{
	if (!key || !flow)
		return -1;
	struct flow_key reply_key = {};
	struct flow *owner;

	twin_key(key, flow, &reply_key);
	owner = lookup_owner(&reply_key);
	return owner ? remove_flow(&reply_key, owner) : 0;
}

/* Puts the reverse half in, or says why it cannot be. */
__noinline int claim_reply(const struct flow_key *key, const struct flow *flow, __u32 now)
{
	if (!key || !flow)
		return -1;
	struct flow_key reply_key = {};
	struct flow reply, *owner;
	bool is_established;

	twin_key(key, flow, &reply_key);
	owner = bpf_map_lookup_elem(&flows, &reply_key);
	is_established = owner;
	if (!owner)
		owner = bpf_map_lookup_elem(&half_open, &reply_key);
	if (owner) {
		if (has_left(&reply_key, owner, key, now))
			return CLAIM_OVER;
		if (!is_twin(owner, key))
			return is_established ? CLAIM_TAKEN : CLAIM_WAITING;
		return is_established ? CLAIM_ESTABLISHED : CLAIM_OURS;
	}
	reply = *flow;
	turn_flow(key, &reply);
	if (!insert_half(&half_open, &reply_key, &reply))
		return CLAIM_OURS;
	/* Another CPU was first: see who it was. */
	owner = bpf_map_lookup_elem(&half_open, &reply_key);
	return owner && is_twin(owner, key) ? CLAIM_OURS : CLAIM_REFUSED;
}

/*
 * The client's half of a flow is lost but the backend's is not: `flow`, the choice its first
 * packet led to, takes over what the other half knows. Returns whether it was there.
 */
__noinline int rejoin_flow(const struct flow_key *key, struct flow *flow, __u32 now)
{
	if (!key || !flow)
		return 0;
	struct flow_key reply_key = {};
	struct flow *reply;
	bool is_half_open;

	twin_key(key, flow, &reply_key);
	reply = lookup_twin(&flows, &reply_key, key);
	is_half_open = !reply;
	if (is_half_open)
		reply = lookup_twin(&half_open, &reply_key, key);
	if (!reply || is_expired(&reply_key, reply, now))
		return 0;
	flow->flags |= reply->flags & (FLOW_REPLIED | FLOW_ANSWERED | FLOW_CLOSING);
	if (is_half_open ? insert_half(&half_open, key, flow) : insert_half(&flows, key, flow))
		return 0;
	count(COUNT_FLOW_TWIN_REBUILT);
	return 1;
}

#endif
