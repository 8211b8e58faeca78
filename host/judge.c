/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a round: rules judge the board. */
#include "policy.h"

/* How far every member of the cohort is known: no rung above it can close. */
static uint32_t frontier(const struct board *b, uint32_t first, uint32_t end)
{
	uint32_t slowest = NEVER, longest = 0;

	for (uint32_t i = first; i < end; i++) {
		const struct candidate *c = &b->candidate[i];

		if ((c->state == VETO_LIVE || c->state == VETO_WAITING) && c->tokens < slowest)
			slowest = c->tokens;
		if (c->tokens > longest)
			longest = c->tokens;
	}
	return slowest < longest ? slowest : longest;
}

/* Judge the cohort's rungs that have closed, in the order of their tokens. */
static void judge_cohort(struct board *b, uint32_t first)
{
	uint32_t end = b->candidates - first < b->cohort ? b->candidates : first + b->cohort;
	uint32_t limit, lowest;

	do {
		struct rule *next = NULL;

		limit = frontier(b, first, end);
		lowest = NEVER;
		for (uint32_t i = 0; i < b->rules; i++) {
			struct rule *r = &b->rule[i];
			uint32_t rung =
				r->policy->ops->next_rung ? r->policy->ops->next_rung(b, r, first, limit) : NEVER;

			if (rung < lowest) {
				lowest = rung;
				next = r;
			}
		}
		if (next) {
			next->policy->ops->judge(b, next, first, lowest);
			next->rung[first / b->cohort] = lowest;
		}
	} while (lowest != NEVER);
	for (uint32_t i = 0; i < b->rules; i++)
		if (b->rule[i].policy->ops->next_rung)
			b->rule[i].rung[first / b->cohort] = limit;
}

/* Make the verdicts that own-path rules have noted, the earliest of a candidate first. */
static void make_own_path_verdicts(struct board *b)
{
	for (uint32_t i = 0; i < b->candidates; i++) {
		struct candidate *c = &b->candidate[i];

		if (c->trip_token != NEVER && b->rule[c->trip_rule].cell[i].is_tripped)
			board_reject(b, &b->rule[c->trip_rule], i, c->trip_token);
		for (uint32_t j = 0; j < b->rules; j++) {
			struct rule *r = &b->rule[j];

			if (r->cell[i].is_tripped && r->is_shadow)
				board_reject(b, r, i, r->cell[i].token);
			r->cell[i].is_tripped = false;
		}
	}
}

static void judge_steps(struct board *b)
{
	for (uint32_t i = 0; i < b->rules; i++)
		for (uint32_t first = 0; b->rule[i].policy->ops->judge_step && first < b->candidates;
			first += b->cohort)
			b->rule[i].policy->ops->judge_step(b, &b->rule[i], first);
}

static void settle(struct board *b, uint32_t rule)
{
	b->is_settled = true;
	for (uint32_t i = 0; i < b->candidates; i++) {
		struct candidate *c = &b->candidate[i];

		if (c->state != VETO_LIVE && c->state != VETO_WAITING)
			continue;
		if (c->state == VETO_LIVE) {
			c->is_pending = true;
			c->pending = (struct veto_verdict){
				.kind = VETO_SETTLED, .candidate = i, .tokens = c->tokens, .rule = b->rule[rule].index};
		}
		c->is_fork_pending = false;
		c->out_token = c->tokens;
		c->state = VETO_OUT;
	}
}

/* Every rule that stops is asked, so that each keeps its count; the first in order that says so settles. */
static void test_stops(struct board *b)
{
	for (uint32_t i = 0; i < b->rules; i++) {
		struct rule *r = &b->rule[i];
		bool says_so = r->policy->ops->is_settled && r->policy->ops->is_settled(b, r);

		if (says_so && !b->is_settled)
			settle(b, i);
	}
	for (uint32_t i = 0; i < b->candidates; i++)
		b->candidate[i].is_new = false;
}

void board_judge(struct board *b, bool has_new)
{
	for (uint32_t i = 0; i < b->rules; i++)
		if (b->rule[i].policy->ops->freeze && !b->rule[i].is_frozen)
			b->rule[i].policy->ops->freeze(b, &b->rule[i]);
	if (b->is_settled)
		return;
	for (uint32_t first = 0; first < b->candidates; first += b->cohort)
		judge_cohort(b, first);
	make_own_path_verdicts(b);
	judge_steps(b);
	if (has_new)
		test_stops(b);
}
