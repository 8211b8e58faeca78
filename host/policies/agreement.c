/* SPDX-License-Identifier: Apache-2.0 */
/* self-truncation: a rank rule that keeps the candidates whose beginnings agree best with the others'. */
#include "policy.h"

enum { TRUNCATION_TAU, TRUNCATION_KEEP, TRUNCATION_MIN_SURVIVORS, TRUNCATION_SHADOW };

const struct veto_param self_truncation_params[] = {
	[TRUNCATION_TAU] = {.name = "tau",
		.help = "how long is looked on: from the first token c at which all differ to c + tau c",
		.type = VETO_PARAM_Q20,
		.fallback = ONE_Q20,
		.low = 0,
		.high = 64 * ONE_Q20},
	[TRUNCATION_KEEP] = {.name = "keep",
		.help = "candidates of a cohort that go on",
		.type = VETO_PARAM_COUNT,
		.fallback = 1,
		.low = 1,
		.high = VETO_CANDIDATES_MAX},
	[TRUNCATION_MIN_SURVIVORS] = MIN_SURVIVORS_PARAM("keep at least so many of a cohort"),
	[TRUNCATION_SHADOW] = SHADOW_PARAM,
	{0},
};

/* Every token's id is kept, as the low end of its window entry. */
static uint32_t entries(const struct veto_values *values, uint32_t max_tokens)
{
	(void)values;
	return max_tokens;
}

static void take_token(struct board *b, struct rule *r, uint32_t candidate, const struct veto_score *score)
{
	const struct candidate *c = &b->candidate[candidate];

	(void)score;
	r->window[(size_t)candidate * r->entries + c->tokens - 1].low = c->token;
}

static int64_t token_at(const struct rule *r, uint32_t candidate, uint32_t at)
{
	return r->window[(size_t)candidate * r->entries + at].low;
}

/* Tokens that count: what a candidate wrote after a verdict on it depends on when it heard of it. */
static uint32_t length_of(const struct board *b, uint32_t candidate)
{
	const struct candidate *c = &b->candidate[candidate];

	uint32_t out = c->out_token < c->trip_token ? c->out_token : c->trip_token;

	return out < c->tokens ? out : c->tokens;
}

static bool may_grow(const struct board *b, uint32_t candidate)
{
	const struct candidate *c = &b->candidate[candidate];

	return (c->state == VETO_LIVE || c->state == VETO_WAITING) && c->out_token == NEVER && c->trip_token == NEVER;
}

/* Tokens after which the two differ; 0: one has ended before they do; NEVER: they may still come to. */
static uint32_t difference(const struct board *b, const struct rule *r, uint32_t i, uint32_t j)
{
	const uint32_t m = length_of(b, i), n = length_of(b, j), shorter = m < n ? m : n;

	for (uint32_t at = 0; at < shorter; at++)
		if (token_at(r, i, at) != token_at(r, j, at))
			return at + 1;
	/* Whichever has no more tokens decides: if it may grow, so may the difference come. */
	if ((m == shorter && !may_grow(b, i)) || (n == shorter && !may_grow(b, j)))
		return 0;
	return NEVER;
}

/* The first token at which all members differ from each other; 0: none do, NEVER: not known yet. */
static uint32_t find_parting(const struct board *b, const struct rule *r, uint32_t first, uint32_t end)
{
	uint32_t parting = 0;

	for (uint32_t i = first; i < end; i++)
		for (uint32_t j = first; j < i; j++) {
			const uint32_t at = difference(b, r, i, j);

			if (at > parting)
				parting = at;
		}
	return parting;
}

/* The rung lies at c + tau c, which is the cohort's only one. */
static uint32_t next_rung(const struct board *b, const struct rule *r, uint32_t first, uint32_t frontier)
{
	uint32_t parting;
	uint64_t rung;

	if (r->cell[first].looked)
		return NEVER;
	parting = find_parting(b, r, first, board_cohort_end(b, first));
	if (parting == 0 || parting == NEVER)
		return NEVER;
	rung = parting + ((uint64_t)parting * (uint64_t)r->rule.values.value[TRUNCATION_TAU][0] >> 20);
	return rung <= frontier ? (uint32_t)rung : NEVER;
}

static uint32_t count(const struct rule *r, uint32_t candidate, uint32_t tokens, int64_t token)
{
	uint32_t n = 0;

	for (uint32_t at = 0; at < tokens; at++)
		n += token_at(r, candidate, at) == token;
	return n;
}

/* Tokens that the two share at t over those they share at t - 1, each as often as both have it. */
static uint32_t shared_more(const struct rule *r, uint32_t i, uint32_t j, uint32_t t)
{
	const int64_t mine = token_at(r, i, t - 1), other = token_at(r, j, t - 1);
	uint32_t more = count(r, i, t - 1, mine) < count(r, j, t - 1, mine);

	return more + (count(r, j, t - 1, other) < count(r, i, t, other));
}

static bool is_ranked(const struct board *b, const struct rule *r, uint32_t candidate, uint32_t rung)
{
	return b->candidate[candidate].tokens >= rung && !board_is_out_by(b, r, candidate, rung);
}

/* How much a candidate agrees with the others at each length, into the high ends of its window. */
static void find_agreement(const struct board *b, const struct rule *r, uint32_t first, uint32_t i, uint32_t rung)
{
	struct veto_interval *at = &r->window[(size_t)i * r->entries];

	for (uint32_t t = 0; t < rung; t++)
		at[t].high = 0;
	for (uint32_t j = first; j < board_cohort_end(b, first); j++) {
		uint32_t shared = 0;

		for (uint32_t t = 1; j != i && t <= rung && is_ranked(b, r, j, rung); t++) {
			shared += shared_more(r, i, j, t);
			at[t - 1].high += shared;
		}
	}
}

/* One look at the first t tokens: whoever agrees most gets a point; of equal ones the lowest index. */
static void look(struct board *b, const struct rule *r, uint32_t first, uint32_t rung, uint32_t t)
{
	uint32_t best = NEVER;
	int64_t most = 0;

	for (uint32_t i = first; i < board_cohort_end(b, first); i++) {
		const int64_t agreement = r->window[(size_t)i * r->entries + t - 1].high;

		if (is_ranked(b, r, i, rung) && (best == NEVER || agreement > most)) {
			best = i;
			most = agreement;
		}
	}
	if (best != NEVER)
		b->scratch[best]++;
}

static void judge(struct board *b, struct rule *r, uint32_t first, uint32_t rung)
{
	const uint32_t end = board_cohort_end(b, first), parting = find_parting(b, r, first, end);
	uint32_t keep = (uint32_t)r->rule.values.value[TRUNCATION_KEEP][0];

	r->cell[first].looked = 1;
	keep = keep < r->min_survivors ? r->min_survivors : keep;
	for (uint32_t i = first; i < end; i++) {
		b->scratch[i] = 0;
		if (is_ranked(b, r, i, rung))
			find_agreement(b, r, first, i, rung);
	}
	for (uint32_t t = parting; t <= rung; t++)
		look(b, r, first, rung, t);
	for (uint32_t i = first; i < end; i++) {
		const int64_t points = is_ranked(b, r, i, rung) ? b->scratch[i] * ONE_Q20 : NO_SCORE;

		b->ranking[i - first] = (struct veto_interval){points, points};
	}
	board_drop_below_best(b, r, first, rung, b->ranking, keep);
}

const struct policy_ops self_truncation_ops = {
	.entries = entries,
	.token = take_token,
	.next_rung = next_rung,
	.judge = judge,
};
