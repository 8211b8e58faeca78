/* SPDX-License-Identifier: Apache-2.0 */
/* Hidden states in a stream: rewards at rungs and step ends, and self-certainty by a table. */
#include "check.h"
#include "heads.h"
#include "rows.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VOCAB = 50, COLS = 40, TOKENS = 6 };

static float row[VOCAB], states[TOKENS][COLS];
static struct veto_verifier *verifier;

static struct veto_stream_info info_of(
	const struct veto_rule *rule, const struct veto_head *head, const struct veto_head *table)
{
	return (struct veto_stream_info){.rule = rule,
		.rules = 1,
		.candidates = 1,
		.max_tokens = TOKENS,
		.format = VETO_FP32,
		.vocab = VOCAB,
		.top_k = 5,
		.head = head,
		.table = table};
}

static struct veto_rule rule_of(const char *text)
{
	struct veto_rule rule;
	char why[VETO_WHY_MAX];

	if (veto_rule_parse(text, &rule, why))
		fail_msg("%s", why);
	return rule;
}

/* The reward of one state, alone. */
static struct veto_score score_alone(const struct veto_head *head, const float *state, int64_t logp, int32_t *q16)
{
	static const uint32_t token = 7;
	const struct veto_rows rows = {.kind = VETO_HIDDEN,
		.rows = 1,
		.cols = COLS,
		.stride_bytes = COLS * sizeof(float),
		.data = state,
		.token = &token,
		.token_logp_q20 = &logp};
	int32_t q[2 * COLS], z[2 * COLS];
	struct head_result result;
	struct veto_score score;

	head_score(head, &rows, 0, q, z, &result);
	head_finish(head, &rows, 0, &result, &score, q16);
	return score;
}

/* One token a round; bit i of ends: token i ends a step.  score[]: what came of each. */
static struct veto_stream_counts play(const struct veto_stream_info *info, uint32_t ends, struct veto_score *score)
{
	struct veto_event event = {.kind = VETO_OPEN};
	struct veto_stream_counts counts;
	struct veto_stream *s;
	char why[VETO_WHY_MAX];

	if (veto_stream_open(verifier, info, &s, why))
		fail_msg("%s", why);
	assert_int_equal(veto_stream_push(s, &event, NULL), 0);
	for (uint32_t i = 0; i < TOKENS; i++) {
		const struct veto_payload payload = {.row = row, .state = states[i]};

		event = (struct veto_event){.kind = VETO_TOKEN, .token = 7, .ends_step = ends >> i & 1};
		assert_int_equal(veto_stream_push(s, &event, &payload), 0);
		assert_int_equal(veto_stream_round(s, -1), 0);
		score[i] = *veto_stream_score(s, 0);
	}
	counts = veto_stream_counts(s);
	veto_stream_close(s);
	return counts;
}

/* Steps end at tokens 2 and 5, counted from 0; the gate looks at the second token. */
static void rewards_are_of_the_steps_so_far(void **state)
{
	struct veto_head *head = head_new(shape_named("sprm"), VETO_INT16, COLS, 1); /* a geometric mean */
	const struct veto_rule rule = rule_of("gate:score=reward,rungs=2+5");
	const struct veto_stream_info info = info_of(&rule, head, NULL);
	struct veto_score score[TOKENS];
	struct head_steps steps = {0}, ahead;
	struct veto_stream_counts counts = play(&info, 1u << 2 | 1u << 5, score);
	int32_t q16[1];

	(void)state;
	assert_int_equal(counts.states, 4);
	assert_int_equal(counts.failed_states, 0);
	for (uint32_t i = 0; i < TOKENS; i++) {
		assert_true(score[i].has >> VETO_SELF_CERTAINTY & 1);
		assert_int_equal(score[i].has >> VETO_REWARD & 1, i == 1 || i == 2 || i == 4 || i == 5);
		if (!(score[i].has >> VETO_REWARD & 1))
			continue;
		score_alone(head, states[i], 0, q16);
		ahead = steps;
		assert_int_equal(score[i].field[VETO_REWARD].low, head_add_step(head, &ahead, q16));
		if (i == 2 || i == 5)
			steps = ahead;
	}
	assert_int_equal(steps.steps, 2);
	veto_verifier_close(verifier);
	assert_int_equal(veto_verifier_open("cpu:", &verifier, NULL), 0);
	veto_head_close(head);
}

static void push_state(struct veto_stream *s, uint32_t beam, const float *state, bool ends_step)
{
	const struct veto_event event = {.kind = VETO_TOKEN, .candidate = beam, .token = 7, .ends_step = ends_step};
	const struct veto_payload payload = {.row = row, .state = state};

	assert_int_equal(veto_stream_push(s, &event, &payload), 0);
}

static void open_beam(struct veto_stream *s, uint32_t beam)
{
	assert_int_equal(veto_stream_push(s, &(struct veto_event){.kind = VETO_OPEN, .candidate = beam}, NULL), 0);
}

/* Beam 1 is the worse one at its second token and becomes a copy of 0, whose first step goes with it. */
static void beams_are_scored_where_they_are_judged(void **state)
{
	struct veto_head *head = head_new(shape_named("sprm"), VETO_INT16, COLS, 1); /* a geometric mean */
	const struct veto_rule rule = rule_of("partial-reward:tau=2,expand=2");
	struct veto_stream_info info = info_of(&rule, head, NULL);
	static const char *const path[2] = {"05234", "41 15"}; /* states; a blank: it waits or is out */
	char why[VETO_WHY_MAX], seen[32] = "";
	struct head_steps steps = {0};
	struct veto_stream *s;
	struct veto_verdict v;
	int32_t q16[1];

	(void)state;
	info.candidates = 2;
	if (veto_stream_open(verifier, &info, &s, why))
		fail_msg("%s", why);
	open_beam(s, 0);
	open_beam(s, 1);
	for (uint32_t t = 0; t < 5; t++) {
		for (uint32_t i = 0; i < 2; i++)
			if (path[i][t] != ' ')
				push_state(s, i, states[path[i][t] - '0'], t == 2);
		assert_int_equal(veto_stream_round(s, -1), 0);
		assert_int_equal(veto_stream_score(s, 0)->has >> VETO_REWARD & 1, t == 1 || t == 2 || t == 4);
		while (veto_stream_next(s, &v)) {
			snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%u:%d%u ", t, v.kind, v.candidate);
			if (v.kind == VETO_FORK)
				open_beam(s, v.candidate);
		}
		/* At the second look both have the first step behind them. */
		score_alone(head, states[2], 0, q16);
		if (t == 2)
			head_add_step(head, &steps, q16);
		for (uint32_t i = 0; i < 2 && t == 4; i++) {
			struct head_steps ahead = steps;

			score_alone(head, states[path[i][t] - '0'], 0, q16);
			assert_int_equal(
				veto_stream_score(s, i)->field[VETO_REWARD].low, head_add_step(head, &ahead, q16));
		}
	}
	assert_memory_equal(seen, "1:01 2:21 4:0", 13);
	veto_stream_close(s);
	veto_verifier_close(verifier);
	assert_int_equal(veto_verifier_open("cpu:", &verifier, NULL), 0);
	veto_head_close(head);
}

static void a_rule_without_rungs_reads_the_rewards_of_steps(void **state)
{
	struct veto_head *head = head_new(shape_named("token-prm"), VETO_INT16, COLS, 2);
	const struct veto_rule rules[] = {rule_of("floor:score=reward,window=2,threshold=0"), rule_of("majority"),
		rule_of("floor:score=reward,rungs=2+3+4,threshold=0+0+0")};
	struct veto_stream_info info = info_of(&rules[0], head, NULL);
	struct veto_score score[TOKENS];

	(void)state;
	assert_int_equal(play(&info, 1u << 2 | 1u << 5, score).states, 2);
	info = info_of(&rules[2], head, NULL);
	assert_int_equal(play(&info, 1u << 2 | 1u << 5, score).states, 4);
	info = info_of(&rules[1], head, NULL);
	assert_int_equal(play(&info, 1u << 5, score).states, 1);
	info.head = NULL;
	assert_int_equal(play(&info, 1u << 5, score).states, 0);
	veto_verifier_close(verifier);
	assert_int_equal(veto_verifier_open("cpu:", &verifier, NULL), 0);
	veto_head_close(head);
}

static void assert_has_all_but_certainty(const struct veto_score *got, const struct veto_score *plain)
{
	assert_int_equal(plain->has >> VETO_SELF_CERTAINTY & 1, 1);
	assert_int_equal(got->has, plain->has & ~(1u << VETO_SELF_CERTAINTY));
}

static void a_table_gives_the_self_certainty(void **state)
{
	struct veto_head *table = table_new(VOCAB, COLS, true, 3);
	const struct veto_rule rule = rule_of("majority");
	struct veto_stream_info info = info_of(&rule, NULL, table);
	struct veto_score score[TOKENS], plain[TOKENS], alone;
	uint64_t sum = 0;
	struct veto_stream_counts counts;
	const float before = states[3][1], bad[] = {-INFINITY, -1e4F, NAN, 2000};

	(void)state;
	counts = play(&info, 0, score);
	assert_int_equal(counts.compared, TOKENS);
	info.table = NULL;
	play(&info, 0, plain);
	for (uint32_t i = 0; i < TOKENS; i++) {
		alone = score_alone(table, states[i], plain[i].field[VETO_TOKEN_LOGP].low, NULL);
		assert_int_equal(score[i].field[VETO_SELF_CERTAINTY].low, alone.field[VETO_SELF_CERTAINTY].low);
		assert_int_equal(score[i].field[VETO_ENTROPY].low, plain[i].field[VETO_ENTROPY].low);
		sum += (uint64_t)llabs(alone.field[VETO_SELF_CERTAINTY].low - plain[i].field[VETO_SELF_CERTAINTY].low);
	}
	assert_int_equal(counts.difference_sum, sum);
	/* A state with NaN has no self-certainty, not even that of its logits. */
	states[3][1] = __builtin_nanf("");
	info.table = table;
	counts = play(&info, 0, score);
	assert_int_equal(counts.failed_states, 1);
	assert_has_all_but_certainty(&score[3], &plain[3]);
	assert_int_equal(score[4].has, plain[4].has);
	states[3][1] = before;
	/* Neither has a row that is not whole: the log-probability is of fewer tokens than the table's score counts on. */
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const float whole = row[9];

		row[9] = bad[i];
		info.table = NULL;
		play(&info, 0, plain);
		info.table = table;
		counts = play(&info, 0, score);
		row[9] = whole;
		assert_int_equal(counts.failed_states, TOKENS);
		assert_int_equal(counts.compared, 0);
		assert_has_all_but_certainty(&score[2], &plain[2]);
	}
	veto_verifier_close(verifier);
	assert_int_equal(veto_verifier_open("cpu:", &verifier, NULL), 0);
	veto_head_close(table);
}

static void refuse(const struct veto_stream_info *info, const char *message)
{
	struct veto_stream *s;
	char why[VETO_WHY_MAX];

	assert_int_equal(veto_stream_open(verifier, info, &s, why), -EINVAL);
	if (!strstr(why, message))
		fail_msg("'%s' lacks '%s'", why, message);
}

static void heads_of_other_states_are_refused(void **state)
{
	struct veto_head *head = head_new(shape_named("sprm"), VETO_INT16, COLS, 1),
			 *table = table_new(VOCAB - 1, COLS, true, 3);
	const struct veto_rule rule = rule_of("gate:score=reward"), plain = rule_of("majority");
	struct veto_stream_info info = info_of(&rule, NULL, NULL);

	(void)state;
	refuse(&info, "score=reward: the rows of this stream come without that score");
	info.head = head;
	info.tap = "final_norm";
	refuse(&info, "the head sprm reads the state layer:-2, and this source gives final_norm");
	info.tap = "layer:-2";
	info.head = table;
	refuse(&info, "a table gives no rewards");
	info = info_of(&plain, NULL, head);
	refuse(&info, "a head that is no table gives no self-certainty");
	info.table = table;
	refuse(&info, "the table is of 49 tokens, and the rows are of 50");
	head->info.backbone = "abc";
	info = info_of(&rule, head, NULL);
	info.backbone = "def";
	refuse(&info, "the head sprm is for the states of the model abc, and these are of def");
	veto_head_close(head);
	veto_head_close(table);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(rewards_are_of_the_steps_so_far),
		cmocka_unit_test(beams_are_scored_where_they_are_judged),
		cmocka_unit_test(a_rule_without_rungs_reads_the_rewards_of_steps),
		cmocka_unit_test(a_table_gives_the_self_certainty),
		cmocka_unit_test(heads_of_other_states_are_refused),
	};
	struct dice dice = {9};
	int failed;

	row_make(ROW_MODEL, VETO_FP32, VOCAB, 1, row);
	for (uint32_t i = 0; i < TOKENS * COLS; i++)
		states[i / COLS][i % COLS] = dice_normal(&dice);
	assert_int_equal(veto_verifier_open("cpu:", &verifier, NULL), 0);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	veto_verifier_close(verifier);
	return failed;
}
