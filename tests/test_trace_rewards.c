/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded tokens have the rewards that a stream gives for the same states and scores. */
#include "check.h"
#include "fx1.h"
#include "heads.h"
#include "rows.h"
#include "trace_rewards.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COLS = 24, TOKENS = 12, STATES = 5, VOCAB = 8 };

/* Steps end at tokens 2, 6 and 11; states of 4 and 7 were recorded besides, that of 6 has an infinite value. */
static const uint32_t state_token[STATES] = {2, 4, 6, 7, 11};
static uint16_t state[STATES][COLS];
static struct veto_interval logp[TOKENS], entropy[TOKENS];
static bool ends_step[TOKENS];
static int8_t so_far[TOKENS];
static const void *state_at[STATES];
static struct trace_candidate candidate;
static struct trace_question question;
static struct trace trace;

static void set_up(void)
{
	struct dice dice = {11};

	for (uint32_t i = 0; i < STATES; i++) {
		for (uint32_t j = 0; j < COLS; j++)
			state[i][j] = (uint16_t)(dice_below(&dice, 2) << 15 | (12 + dice_below(&dice, 5)) << 10 |
						 dice_below(&dice, 1024));
		state_at[i] = state[i];
	}
	state[2][3] = 0x7c00;
	for (uint32_t t = 0; t < TOKENS; t++) {
		logp[t].low = logp[t].high = t == 3 ? TRACE_UNKNOWN : -(int64_t)dice_below(&dice, 1 << 21);
		entropy[t].low = entropy[t].high = dice_below(&dice, 1 << 21);
		ends_step[t] = t == 2 || t == 6 || t == 11;
	}
	candidate = (struct trace_candidate){.is_there = true,
		.tokens = TOKENS,
		.ends_step = ends_step,
		.so_far = so_far,
		.states = STATES,
		.state_token = (uint32_t *)state_token,
		.state = state_at};
	candidate.field[VETO_TOKEN_LOGP] = logp;
	candidate.field[VETO_ENTROPY] = entropy;
	question = (struct trace_question){.id = "q", .candidate = &candidate};
	trace = (struct trace){.candidates = 1,
		.cohort = 1,
		.max_tokens = TOKENS,
		.fields = 1u << VETO_TOKEN_LOGP | 1u << VETO_ENTROPY,
		.state_cols = COLS,
		.question = &question,
		.questions = 1};
}

static void forget_rewards(void)
{
	free(candidate.field[VETO_REWARD]);
	candidate.field[VETO_REWARD] = NULL;
	trace.fields &= ~(1u << VETO_REWARD);
}

static const float *widened(uint32_t token)
{
	static float x[COLS];

	for (uint32_t i = 0; i < STATES; i++) {
		if (state_token[i] != token)
			continue;
		for (uint32_t j = 0; j < COLS; j++)
			x[j] = fx1_widen(state[i], VETO_FP16, j);
		return x;
	}
	return NULL;
}

/* The rewards of a stream with rungs at tokens 5 and 8, which are those of indices 4 and 7. */
static void compare(const struct veto_head *head)
{
	struct veto_rule rule;
	const struct veto_stream_info info = {.rule = &rule,
		.rules = 1,
		.candidates = 1,
		.max_tokens = TOKENS,
		.vocab = VOCAB,
		.top_k = 2,
		.head = head};
	struct veto_verifier *v;
	struct veto_stream *s;
	char why[VETO_WHY_MAX];
	uint32_t rewards = 0;

	if (trace_add_rewards(&trace, head, why))
		fail_msg("%s", why);
	assert_true(trace.fields >> VETO_REWARD & 1);
	assert_int_equal(trace.has_gaps, head_reads_states(head));
	assert_int_equal(veto_rule_parse("gate:score=reward,rungs=5+8", &rule, why), 0);
	assert_int_equal(veto_verifier_open("cpu:", &v, why), 0);
	if (veto_stream_open(v, &info, &s, why))
		fail_msg("%s", why);
	assert_int_equal(veto_stream_push(s, &(struct veto_event){.kind = VETO_OPEN}, NULL), 0);
	for (uint32_t t = 0; t < TOKENS; t++) {
		const bool is_looked_at = ends_step[t] || t == 4 || t == 7;
		const struct veto_payload payload = {.state = widened(t)};
		struct veto_event event = {.kind = VETO_TOKEN, .ends_step = ends_step[t]};
		const struct veto_interval *recorded = &candidate.field[VETO_REWARD][t];
		const struct veto_score *live;

		trace_score(&candidate, t, &event.score);
		event.score.has &= ~(1u << VETO_REWARD);
		assert_int_equal(veto_stream_push(s, &event, &payload), 0);
		assert_int_equal(veto_stream_round(s, -1), 0);
		live = veto_stream_score(s, 0);
		if (!is_looked_at)
			continue;
		assert_int_equal(live->has >> VETO_REWARD & 1, recorded->low != TRACE_UNKNOWN);
		if (recorded->low == TRACE_UNKNOWN)
			continue;
		assert_int_equal(live->field[VETO_REWARD].low, recorded->low);
		assert_int_equal(recorded->high, recorded->low);
		rewards++;
	}
	assert_int_equal(rewards, head_reads_states(head) ? 4 : 5);
	veto_stream_close(s);
	veto_verifier_close(v);
	forget_rewards();
}

/* Of two layers and statistics, or of statistics alone; product: every step counts. */
static struct veto_head *make_fused(uint32_t layers)
{
	static const struct statistic statistic[] = {
		{STATISTIC_MEAN, VETO_TOKEN_LOGP}, {STATISTIC_STEP_MIN, VETO_ENTROPY}, {STATISTIC_STEPS, 0}};
	static const double weight[] = {1.5, 0.25, -3};
	static const struct head_statistics statistics = {statistic, weight, 3, 0.5};
	static const struct head_texts texts = {"probe", "sigmoid", "product", "final_norm", "any", "", NULL};
	char path[] = "/tmp/veto_fused.XXXXXX", why[VETO_WHY_MAX];
	struct published p;
	struct veto_head *head = NULL;

	published_new(&p, shape_named("probe"), "F32", COLS, 3);
	close(mkstemp(path));
	if (head_make_fused(path, &texts,
		    (struct head_source[]){{&p.tensor[0], &p.tensor[1]}, {&p.tensor[2], &p.tensor[3]}}, layers,
		    VETO_INT16, &statistics, why) ||
		veto_head_open(path, &head, why))
		fail_msg("%s", why);
	published_free(&p);
	unlink(path);
	return head;
}

static void recorded_rewards_are_those_of_a_stream(void **unused)
{
	struct veto_head *heads[] = {head_new(shape_named("sprm"), VETO_INT16, COLS, 5), make_fused(2), make_fused(0)};

	(void)unused;
	set_up();
	for (int i = 0; i < 3; i++) {
		compare(heads[i]);
		veto_head_close(heads[i]);
	}
}

static void refuse(const struct veto_head *head, const char *message)
{
	char why[VETO_WHY_MAX];

	assert_int_equal(trace_add_rewards(&trace, head, why), -EINVAL);
	assert_string_equal(why, message);
	assert_false(trace.fields >> VETO_REWARD & 1);
	forget_rewards();
}

static void heads_that_do_not_fit_are_refused(void **unused)
{
	struct veto_head *table = table_new(VOCAB, COLS, true, 1), *fused = make_fused(0),
			 *wide = head_new(shape_named("sprm"), VETO_INT16, COLS + 1, 5),
			 *head = head_new(shape_named("sprm"), VETO_INT16, COLS, 5);

	(void)unused;
	set_up();
	refuse(table, "a table gives no rewards");
	refuse(wide, "it reads states of 25 values, and those of the recording have 24");
	trace.fields = 1u << VETO_TOKEN_LOGP;
	refuse(fused,
		"it counts on entropy, and the recording has no such score of every candidate (\"entropy\" in a trace)");
	candidate.states--;
	refuse(head, "it reads hidden states, and candidate 0 of 'q' has none at token 11, where a step ends");
	trace.state_cols = 0;
	refuse(head, "it reads hidden states, and the recording has none");
	veto_head_close(head);
	veto_head_close(wide);
	veto_head_close(fused);
	veto_head_close(table);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(recorded_rewards_are_those_of_a_stream),
		cmocka_unit_test(heads_that_do_not_fit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
