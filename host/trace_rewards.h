/* SPDX-License-Identifier: Apache-2.0 */
/* Rewards of recorded candidates, as a stream would give them. */
#ifndef VETO_TRACE_REWARDS_H
#define VETO_TRACE_REWARDS_H

#include "head.h"
#include "trace.h"

/* Give every candidate the rewards (VETO_REWARD) of its tokens that have a state; of all its tokens, where the head reads none.
 *   -EINVAL  a table; a head for states of another width, or that counts on scores that were not recorded; a candidate
 *            without a state where a step ends; `why` says which
 *   -ENOMEM */
int trace_add_rewards(struct trace *t, const struct veto_head *head, char *why);

/* Note in each question whether the head has learned from it; trace_add_rewards() does. */
void trace_mark_learned(struct trace *t, const struct veto_head *head);

#endif
