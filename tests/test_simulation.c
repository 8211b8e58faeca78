/* SPDX-License-Identifier: Apache-2.0 */
/* What the simulation says is lost is what a session rejects: each question is played with the rule of each level. */
#include "check.h"
#include "simulation.h"

#include <math.h>
#include <stdio.h>

enum { QUESTIONS = 300, TOKENS = 2 };
#define SHIFT 16 /* scores are log-probabilities: below 0 */

/* The question's scores as sessions have them, Q20; and that none lies where a threshold's last bit counts. */
static void simulate(struct dice *dice, struct question *q, struct scores *out)
{
	simulate_question(dice, q);
	simulate_scores(dice, q, out);
	for (int i = 0; i < CANDIDATES; i++)
		out->of[i] = rint(out->of[i] * 0x1p20) / 0x1p20;
	for (int i = 0; i < WARMUP; i++)
		out->warmup[i] = rint(out->warmup[i] * 0x1p20) / 0x1p20;
}

static void check_distances(int level, bool has_warmup, const struct scores *scores)
{
	const double threshold = threshold_of(level, has_warmup, scores);

	for (int i = has_warmup ? WARMUP : 0; i < CANDIDATES; i++)
		assert_true(fabs(scores->of[i] - threshold) > 0x1p-19);
}

static struct veto_session *start(int level, bool has_warmup)
{
	struct veto_session *session = NULL;
	struct veto_rule rule;
	char text[256], why[VETO_WHY_MAX];

	if (has_warmup)
		snprintf(text, sizeof(text),
			"window-floor:score=token_logp,window=1,warmup=%d,keep=%.3f,min_survivors=0", WARMUP,
			1 - level / 2.0 / LEVELS);
	else
		snprintf(text, sizeof(text), "floor:score=token_logp,window=1,threshold=%.9f,min_survivors=0",
			threshold_of(level, false, NULL) - SHIFT);
	if (veto_rule_parse(text, &rule, why) || veto_session_new(&rule, 1, CANDIDATES, 0, TOKENS, &session, why))
		fail_msg("%s: %s", text, why);
	return session;
}

static void push(struct veto_session *session, const struct veto_event *event)
{
	assert_int_equal(veto_session_push(session, event), 0);
}

static void open_waiting(struct veto_session *session, uint32_t *writing)
{
	for (uint32_t i = 0; i < CANDIDATES; i++)
		if (veto_session_may_start(session, i)) {
			push(session, &(struct veto_event){.kind = VETO_OPEN, .candidate = i});
			*writing |= 1u << i;
		}
}

/* Each that writes gets its next token; behind the last it closes. */
static void write_tokens(struct veto_session *session, const struct scores *scores, int tokens[], uint32_t *writing)
{
	for (uint32_t i = 0; i < CANDIDATES; i++) {
		const int64_t score = (int64_t)((scores->of[i] - SHIFT) * 0x1p20);
		struct veto_event event = {.kind = VETO_TOKEN, .candidate = i, .ends_step = tokens[i] == TOKENS - 1};

		if (!(*writing >> i & 1))
			continue;
		event.score.has = 1u << VETO_TOKEN_LOGP;
		event.score.field[VETO_TOKEN_LOGP] = (struct veto_interval){score, score};
		push(session, &event);
		if (++tokens[i] < TOKENS)
			continue;
		push(session, &(struct veto_event){.kind = VETO_CLOSE, .candidate = i, .answer = 1});
		*writing &= ~(1u << i);
	}
}

/* Play a question in lockstep; returns the candidates that are rejected. */
static uint32_t play(const struct scores *scores, int level, bool has_warmup)
{
	struct veto_session *session = start(level, has_warmup);
	int tokens[CANDIDATES] = {0};
	uint32_t writing = 0, rejected = 0;
	struct veto_verdict verdict;

	for (open_waiting(session, &writing); writing; open_waiting(session, &writing)) {
		write_tokens(session, scores, tokens, &writing);
		veto_session_round(session);
		while (veto_session_next(session, &verdict)) {
			assert_int_equal(verdict.kind, VETO_REJECT);
			assert_int_equal(verdict.tokens, 1);
			rejected |= 1u << verdict.candidate;
			writing &= ~(1u << verdict.candidate);
		}
	}
	assert_true(veto_session_is_done(session));
	veto_session_free(session);
	return rejected;
}

static void check_levels(bool has_warmup)
{
	struct dice dice = {21};
	int right = 0, lost = 0;

	for (int i = 0; i < QUESTIONS; i++) {
		struct question q;
		struct scores scores;
		uint32_t right_ones = 0;

		simulate(&dice, &q, &scores);
		for (int j = 0; j < CANDIDATES; j++)
			right_ones |= (uint32_t)q.is_right[j] << j;
		for (int level = 1; level < LEVELS; level++) { /* level 0 is no rule */
			const uint32_t expected = lost_at(&q, level, has_warmup, &scores);

			check_distances(level, has_warmup, &scores);
			assert_int_equal(play(&scores, level, has_warmup) & right_ones, expected);
			lost += __builtin_popcount(expected);
			right += q.right;
		}
	}
	assert_true(lost > right / 20 && lost < right / 2); /* of both kinds enough */
}

static void a_floor_rejects_what_the_simulation_loses(void **state)
{
	(void)state;
	check_levels(false);
}

static void a_percentile_of_a_warm_up_rejects_what_the_simulation_loses(void **state)
{
	(void)state;
	check_levels(true);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_floor_rejects_what_the_simulation_loses),
		cmocka_unit_test(a_percentile_of_a_warm_up_rejects_what_the_simulation_loses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
