/* SPDX-License-Identifier: Apache-2.0 */
/* The selectors, by small examples worked by hand. */
#include "prompt.h"

#include <errno.h>

struct finished {
	double nats; /* mean score */
	uint64_t answer;
};

/* The choice of one selector among candidates of one token each. */
static struct veto_choice choose(const char *rule, const struct finished *candidate, uint32_t candidates)
{
	struct veto_session *s = prompt_new(rule, candidates, 0, 100);
	struct veto_choice choice;

	prompt_open_all(s, candidates);
	for (uint32_t i = 0; i < candidates; i++) {
		prompt_token(s, i, candidate[i].nats);
		prompt_close(s, i, candidate[i].answer);
	}
	prompt_round(s);
	choice = prompt_select(s, 0);
	veto_session_free(s);
	return choice;
}

static void majority_counts_answers_and_breaks_ties_to_the_lower_index(void **state)
{
	struct veto_choice c;

	(void)state;
	c = choose("majority", (struct finished[]){{9, 1}, {1, 2}, {1, 2}, {9, 0}, {9, 0}, {9, 0}}, 6);
	assert_int_equal(c.answer, 2);
	assert_int_equal(c.candidate, 1);
	assert_int_equal(c.weight, 2);
	c = choose("majority", (struct finished[]){{1, 3}, {9, 1}, {9, 1}, {1, 3}}, 4);
	assert_int_equal(c.answer, 3);
}

static void borda_weighs_votes_by_rank(void **state)
{
	/* Ranks by score: answers A B B C; weights with p = 1: 4, 3, 2, 1; B has 5. */
	static const struct finished four[] = {{8, 1}, {7, 2}, {6, 2}, {5, 3}};
	struct veto_choice c;

	(void)state;
	c = choose("borda:p=1", four, 4);
	assert_int_equal(c.answer, 2);
	assert_int_equal(c.candidate, 1);
	assert_int_equal(c.weight, 5 << 20);
	/* p = 2: 16, 9, 4, 1: A has 16, B 13.  The powers are right to 4e-5. */
	c = choose("borda:p=2", four, 4);
	assert_int_equal(c.answer, 1);
	assert_in_range(c.weight, NATS(16 * 0.99996), NATS(16 * 1.00004));
	/* p = 0.5: 2, 1.7320 + 1.4142 = 3.1463 */
	c = choose("borda", four, 4);
	assert_int_equal(c.answer, 2);
	assert_in_range(c.weight, NATS(3.14626 * 0.99996), NATS(3.14627 * 1.00004));
}

static void borda_ranks_candidates_without_an_answer(void **state)
{
	/* N = 3: the best has no answer, so the next weighs 2, the last 1. */
	struct veto_choice c = choose("borda:p=1", (struct finished[]){{1, 1}, {2, 2}, {3, 0}}, 3);

	(void)state;
	assert_int_equal(c.answer, 2);
	assert_int_equal(c.weight, 2 << 20);
}

static void borda_ties_go_to_the_lower_index(void **state)
{
	struct veto_choice c = choose("borda:p=1", (struct finished[]){{1, 1}, {1, 2}}, 2);

	(void)state;
	assert_int_equal(c.answer, 1);
	assert_int_equal(c.weight, 2 << 20);
}

/* Of two candidates of two tokens each, by `best`. */
static struct veto_choice last_reward(const double *first, const double *second)
{
	struct veto_session *s = prompt_new("best:score=reward", 2, 0, 100);
	struct veto_choice choice;

	prompt_open_all(s, 2);
	prompt_tokens(s, 0, first, 2);
	prompt_tokens(s, 1, second, 2);
	prompt_close(s, 0, 1);
	prompt_close(s, 1, 2);
	prompt_round(s);
	choice = prompt_select(s, 0);
	veto_session_free(s);
	return choice;
}

static void best_takes_the_highest_mean_that_has_an_answer(void **state)
{
	struct veto_choice c;

	(void)state;
	c = choose("best", (struct finished[]){{1, 1}, {3, 2}, {9, 0}, {3, 3}}, 4);
	assert_int_equal(c.candidate, 1);
	assert_int_equal(c.answer, 2);
	assert_int_equal(c.weight, NATS(3));
	/* A reward is that of the whole candidate: of its last token. */
	c = last_reward((double[]){.9, .2}, (double[]){.1, .8});
	assert_int_equal(c.candidate, 1);
	assert_int_equal(c.weight, NATS(.8));
	c = choose("best:score=entropy", (struct finished[]){{2, 1}, {1, 2}}, 2);
	assert_int_equal(c.answer, 2);
	assert_int_equal(c.weight, NATS(-1));
}

static void weighted_sums_scores(void **state)
{
	struct veto_choice c;

	(void)state;
	c = choose("weighted", (struct finished[]){{5, 1}, {3, 2}, {3, 2}}, 3);
	assert_int_equal(c.answer, 2);
	assert_int_equal(c.weight, NATS(6));
	/* The best 34 % of three are two (rounded up): 5 and the first 3. */
	c = choose("weighted:top=0.34", (struct finished[]){{5, 1}, {3, 2}, {3, 2}}, 3);
	assert_int_equal(c.answer, 1);
	assert_int_equal(c.weight, NATS(5));
}

/* Two of twenty vote: 9 for the first answer, 8 for the second; a third would make it 8 + 7. */
static void a_tenth_of_twenty_is_two(void **state)
{
	struct finished twenty[20] = {{9, 1}, {8, 2}, {7, 2}};
	struct veto_choice c;

	(void)state;
	for (int i = 3; i < 20; i++)
		twenty[i] = (struct finished){1, 3};
	c = choose("weighted:top=0.1", twenty, 20);
	assert_int_equal(c.answer, 1);
	assert_int_equal(c.weight, NATS(9));
}

static void weights_that_can_be_negative_need_softmax(void **state)
{
	struct veto_rule rule;
	char why[VETO_WHY_MAX];

	(void)state;
	assert_int_equal(veto_rule_parse("weighted:score=entropy", &rule, why), -EINVAL);
	assert_string_equal(
		why, "weighted: score=entropy can be negative, so it can't weigh votes; use weight=softmax");
	/* -1 against twice -2: 1 against 2 e^-1 = 0.74 */
	assert_int_equal(
		choose("weighted:score=entropy,weight=softmax", (struct finished[]){{1, 1}, {2, 2}, {2, 2}}, 3).answer,
		1);
	assert_int_equal(
		choose("weighted:score=entropy,weight=softmax", (struct finished[]){{1, 1}, {1.1, 2}, {1.1, 2}}, 3)
			.answer,
		2);
}

static void weighted_by_softmax_uses_the_temperature(void **state)
{
	/* e^0 = 1 against 3 e^-1 = 1.1036; at temperature 0.5 against 3 e^-2 = 0.4060. */
	static const struct finished four[] = {{2, 1}, {1, 2}, {1, 2}, {1, 2}};
	struct veto_choice c;

	(void)state;
	c = choose("weighted:weight=softmax", four, 4);
	assert_int_equal(c.answer, 2);
	assert_in_range(c.weight, (uint64_t)(1.10363 * 0x1p31), (uint64_t)(1.10366 * 0x1p31));
	c = choose("weighted:weight=softmax,temperature=0.5", four, 4);
	assert_int_equal(c.answer, 1);
	assert_int_equal(c.weight, 1LL << 31);
}

static void sharpening_takes_the_highest_sum_of_log_probabilities(void **state)
{
	struct veto_session *s = prompt_new("sharpening", 2, 0, 100);
	struct veto_choice c;

	(void)state;
	prompt_open_all(s, 2);
	/* Means -1 and -1.5, sums -4 and -3. */
	prompt_tokens(s, 0, (double[]){-1, -1, -1, -1}, 4);
	prompt_tokens(s, 1, (double[]){-1.5, -1.5}, 2);
	prompt_close(s, 0, 1);
	prompt_close(s, 1, 2);
	prompt_round(s);
	c = prompt_select(s, 0);
	assert_int_equal(c.answer, 2);
	assert_int_equal(c.weight, NATS(-3));
	veto_session_free(s);
}

static void sharpening_takes_a_token_without_a_score_for_an_average_one(void **state)
{
	struct veto_session *s = prompt_new("sharpening", 2, 0, 100);

	(void)state;
	prompt_open_all(s, 2);
	/* Four of -1 are -4; two of -1.5 and two unknown are -6. */
	prompt_tokens(s, 0, (double[]){-1, -1, -1, -1}, 4);
	prompt_tokens(s, 1, (double[]){-1.5, -1.5}, 2);
	prompt_blank(s, 1);
	prompt_blank(s, 1);
	prompt_close(s, 0, 1);
	prompt_close(s, 1, 2);
	prompt_round(s);
	assert_int_equal(prompt_select(s, 0).answer, 1);
	assert_int_equal(prompt_select(s, 0).weight, NATS(-4));
	veto_session_free(s);
}

/* Of three, one is rejected: the best of the two that are left weighs 2. */
static void rejected_candidates_have_no_rank(void **state)
{
	struct veto_session *s = prompt_new("borda:p=1 gate:rungs=1,keep=0.5", 3, 0, 100);

	(void)state;
	prompt_open_all(s, 3);
	for (uint32_t i = 0; i < 3; i++)
		prompt_token(s, i, i);
	assert_string_equal(prompt_round(s), "R0@1");
	prompt_close(s, 1, 5);
	prompt_close(s, 2, 6);
	prompt_round(s);
	assert_int_equal(prompt_select(s, 0).answer, 6);
	assert_int_equal(prompt_select(s, 0).weight, 2 << 20);
	veto_session_free(s);
}

static void rejected_candidates_do_not_vote(void **state)
{
	struct veto_session *s = prompt_new("majority gate:rungs=1,keep=0.3", 3, 0, 100);

	(void)state;
	prompt_open_all(s, 3);
	for (uint32_t i = 0; i < 3; i++)
		prompt_token(s, i, i);
	assert_string_equal(prompt_round(s), "R0@1 R1@1");
	prompt_close(s, 2, 5);
	prompt_round(s);
	assert_int_equal(prompt_select(s, 0).answer, 5);
	assert_int_equal(prompt_select(s, 0).weight, 1);
	veto_session_free(s);
}

/* Means 6, 5, 4; candidate 0 has the best one, but its lowest window, 1, lies below the median of 1 and 5. */
static void candidates_that_lost_their_vote_have_no_rank(void **state)
{
	static const double tokens[2][2] = {{11, 1}, {5, 5}};
	struct veto_session *s = prompt_new(
		"window-floor:window=1,warmup=2,keep=0.5,min_survivors=0,score=self_certainty borda:p=1 best weighted",
		3, 0, 100);

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		prompt_open(s, i);
		prompt_tokens(s, i, tokens[i], 2);
		prompt_close(s, i, 1 + i);
	}
	prompt_round(s);
	prompt_open(s, 2);
	prompt_token(s, 2, 4);
	prompt_close(s, 2, 3);
	prompt_round(s);
	for (uint32_t rule = 1; rule <= 3; rule++)
		assert_int_equal(prompt_select(s, rule).answer, 2);
	assert_int_equal(prompt_select(s, 1).weight, 2 << 20);
	veto_session_free(s);
}

static void without_an_answer_there_is_no_choice(void **state)
{
	struct veto_session *s = prompt_new("majority best weighted borda sharpening gate", 1, 0, 100);
	struct veto_choice choice;

	(void)state;
	prompt_open(s, 0);
	prompt_token(s, 0, 1);
	prompt_close(s, 0, 0);
	prompt_round(s);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(veto_session_select(s, i, &choice), -ENODATA);
	assert_int_equal(veto_session_select(s, 5, &choice), -EINVAL);
	assert_int_equal(veto_session_select(s, 6, &choice), -EINVAL);
	veto_session_free(s);
}

static void cisc_weighs_votes_by_the_softmax_of_their_scores(void **state)
{
	/* A has e^0 and B e^-0.5 + e^-0.6 = 1.1553; at temperature 0.5 B has e^-1 + e^-1.2 = 0.6691. */
	static const struct finished three[] = {{-0.1, 1}, {-0.6, 2}, {-0.7, 2}};
	struct veto_choice c = choose("cisc", three, 3);

	(void)state;
	assert_int_equal(c.answer, 2);
	assert_in_range(c.weight, (int64_t)(1.15534 * (1LL << 31)) - 200000, (int64_t)(1.15534 * (1LL << 31)) + 200000);
	c = choose("cisc:temperature=0.5", three, 3);
	assert_int_equal(c.answer, 1);
}

/* The score of the best among candidates whose steps end with these rewards, Q20. */
static int64_t best_of_steps(const char *rule, const double steps[2][3])
{
	struct veto_session *s = prompt_new(rule, 2, 0, 100);
	struct veto_choice choice;

	prompt_open_all(s, 2);
	for (uint32_t i = 0; i < 2; i++) {
		for (uint32_t j = 0; j < 3; j++) {
			prompt_push_token(s, i, 0.01, false); /* in a step: counts for nothing */
			prompt_push_token(s, i, steps[i][j], true);
		}
		prompt_close(s, i, i + 1);
	}
	prompt_round(s);
	choice = prompt_select(s, 0);
	veto_session_free(s);
	return (int64_t)choice.answer << 32 | choice.weight;
}

static void rewards_of_steps_become_one_as_they_are_told(void **state)
{
	static const double steps[2][3] = {{0.5, 0.5, 1}, {1, 0.25, 0.875}};
	static const struct {
		const char *rule;
		uint64_t answer;
		double score;
	} cases[] = {{"best:score=reward", 1, 1}, {"best:score=reward,steps=mean", 2, 0.708333},
		{"best:score=reward,steps=min", 1, 0.5}, {"best:score=reward,steps=product", 1, 0.25},
		{"best:score=reward,steps=geometric-mean", 1, 0.629961}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const int64_t best = best_of_steps(cases[i].rule, steps);

		if ((uint64_t)best >> 32 != cases[i].answer)
			fail_msg("%s: answer %d", cases[i].rule, (int)(best >> 32));
		assert_in_range(best & 0xffffffff, NATS(cases[i].score) - 40, NATS(cases[i].score) + 40);
	}
	/* The others take them, too: with the means 0.667 and 0.708. */
	assert_int_equal(best_of_steps("weighted:score=reward,weight=softmax,steps=mean", steps) >> 32, 2);
	assert_int_equal(best_of_steps("borda:score=reward,steps=mean", steps) >> 32, 2);
	assert_int_equal(best_of_steps("cisc:score=reward,steps=mean", steps) >> 32, 2);
	assert_int_equal(best_of_steps("cisc:score=reward,steps=min", steps) >> 32, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(cisc_weighs_votes_by_the_softmax_of_their_scores),
		cmocka_unit_test(rewards_of_steps_become_one_as_they_are_told),
		cmocka_unit_test(majority_counts_answers_and_breaks_ties_to_the_lower_index),
		cmocka_unit_test(borda_weighs_votes_by_rank),
		cmocka_unit_test(borda_ranks_candidates_without_an_answer),
		cmocka_unit_test(borda_ties_go_to_the_lower_index),
		cmocka_unit_test(best_takes_the_highest_mean_that_has_an_answer),
		cmocka_unit_test(weighted_sums_scores),
		cmocka_unit_test(a_tenth_of_twenty_is_two),
		cmocka_unit_test(weights_that_can_be_negative_need_softmax),
		cmocka_unit_test(weighted_by_softmax_uses_the_temperature),
		cmocka_unit_test(sharpening_takes_the_highest_sum_of_log_probabilities),
		cmocka_unit_test(sharpening_takes_a_token_without_a_score_for_an_average_one),
		cmocka_unit_test(rejected_candidates_have_no_rank),
		cmocka_unit_test(rejected_candidates_do_not_vote),
		cmocka_unit_test(candidates_that_lost_their_vote_have_no_rank),
		cmocka_unit_test(without_an_answer_there_is_no_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
