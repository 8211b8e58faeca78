/* SPDX-License-Identifier: Apache-2.0 */
/* Rows in, verdicts out: a device and a session behind one stream. */
#include "check.h"
#include "veto.h"

#include <errno.h>
#include <string.h>

#define VOCAB 1500

static struct veto_stream *open_on(const char *uri, struct veto_verifier **v, const char *rule, uint32_t candidates)
{
	struct veto_stream_info info = {
		.candidates = candidates, .max_tokens = 50, .format = VETO_FP32, .vocab = VOCAB, .top_k = 5};
	struct veto_rule rules[1];
	struct veto_stream *s;
	char why[VETO_WHY_MAX];

	assert_int_equal(veto_rule_parse(rule, &rules[0], why), 0);
	info.rule = rules;
	info.rules = 1;
	assert_int_equal(veto_verifier_open(uri, v, why), 0);
	assert_int_equal(veto_stream_open(*v, &info, &s, why), 0);
	return s;
}

static struct veto_stream *open_stream(struct veto_verifier **v, const char *rule, uint32_t candidates)
{
	return open_on("cpu:threads=2", v, rule, candidates);
}

/* A row whose one high logit makes it the more certain the higher it is. */
static void make_row(float *row, float peak)
{
	memset(row, 0, VOCAB * sizeof(*row));
	row[7] = peak;
}

static void push(struct veto_stream *s, enum veto_event_kind kind, uint32_t candidate, const float *row)
{
	struct veto_event event = {.kind = kind, .candidate = candidate, .token = 7};
	struct veto_payload payload = {.row = row};

	assert_int_equal(veto_stream_push(s, &event, row ? &payload : NULL), 0);
}

static void the_least_certain_rows_are_rejected(void **state)
{
	static float row[40][VOCAB]; /* more than a device takes at a time */
	struct veto_verifier *v;
	struct veto_stream *s = open_stream(&v, "gate:rungs=1,keep=0.5", 40);
	struct veto_verdict verdict;
	uint32_t rejected = 0;

	(void)state;
	for (uint32_t i = 0; i < 40; i++) {
		make_row(row[i], (float)(40 - i));
		push(s, VETO_OPEN, i, NULL);
		push(s, VETO_TOKEN, i, row[i]);
	}
	assert_int_equal(veto_stream_round(s, -1), 0);
	while (veto_stream_next(s, &verdict)) {
		assert_int_equal(verdict.candidate, 20 + rejected);
		rejected++;
	}
	assert_int_equal(rejected, 20);
	assert_int_equal(veto_stream_counts(s).rows, 40);
	assert_int_equal(veto_stream_counts(s).failed_rows, 0);
	veto_stream_close(s);
	veto_verifier_close(v);
}

static void the_scores_are_those_of_the_device(void **state)
{
	static float row[VOCAB];
	struct veto_verifier *v;
	struct veto_stream *s = open_stream(&v, "majority", 1);
	struct veto_rows rows = {.rows = 1, .cols = VOCAB, .stride_bytes = sizeof(row), .data = row, .top_k = 5};
	uint32_t token = 7;
	struct veto_score score;
	struct veto_results out = {.score = &score};
	struct veto_device *dev;

	(void)state;
	make_row(row, 9);
	rows.token = &token;
	assert_int_equal(veto_device_open("cpu:", &dev, NULL), 0);
	assert_int_equal(veto_device_score(dev, &rows, &out), 0);
	assert_null(veto_stream_score(s, 0));
	push(s, VETO_OPEN, 0, NULL);
	push(s, VETO_TOKEN, 0, row);
	assert_int_equal(veto_stream_round(s, -1), 0);
	assert_memory_equal(veto_stream_score(s, 0), &score, sizeof(score));
	assert_true(score.has >> VETO_TOKEN_LOGP & 1);
	veto_device_close(dev);
	veto_stream_close(s);
	veto_verifier_close(v);
}

static void a_known_score_needs_no_row(void **state)
{
	struct veto_verifier *v;
	struct veto_stream *s = open_stream(&v, "floor:window=1,threshold=1,min_survivors=0", 1);
	struct veto_event event = {.kind = VETO_TOKEN, .score = {.has = 1}};
	struct veto_verdict verdict;

	(void)state;
	push(s, VETO_OPEN, 0, NULL);
	assert_int_equal(veto_stream_push(s, &event, NULL), 0);
	assert_int_equal(veto_stream_round(s, 0), 0);
	assert_true(veto_stream_next(s, &verdict));
	assert_int_equal(verdict.score, 0);
	veto_stream_close(s);
	veto_verifier_close(v);
}

static void an_event_out_of_place_is_reported_and_the_round_ends(void **state)
{
	struct veto_verifier *v;
	struct veto_stream *s = open_stream(&v, "majority", 2);

	(void)state;
	push(s, VETO_CLOSE, 0, NULL); /* never opened */
	push(s, VETO_TOKEN, 0, NULL);
	push(s, VETO_OPEN, 1, NULL);
	assert_int_equal(veto_stream_round(s, -1), -EINVAL);
	assert_null(veto_stream_score(s, 0));
	assert_false(veto_session_may_start(veto_stream_session(s), 1));
	veto_stream_close(s);
	veto_verifier_close(v);
}

/* The device scores in this thread, sixteen rows at a time. */
static void a_poll_scores_a_piece(void **state)
{
	static float row[VOCAB];
	struct veto_verifier *v;
	struct veto_stream *s = open_on("cpu:threads=1", &v, "majority", 1);
	int err, polls = 0;

	(void)state;
	push(s, VETO_OPEN, 0, NULL);
	for (int i = 0; i < 40; i++)
		push(s, VETO_TOKEN, 0, row);
	while ((err = veto_stream_round(s, 0)) == -EAGAIN)
		polls++;
	assert_int_equal(err, 0);
	assert_in_range(polls, 1, 39);
	veto_stream_close(s);
	veto_verifier_close(v);
}

static void closing_with_rows_in_flight_waits_for_them(void **state)
{
	static float row[VOCAB];
	struct veto_verifier *v;
	struct veto_stream *s = open_stream(&v, "majority", 1);

	(void)state;
	push(s, VETO_OPEN, 0, NULL);
	for (int i = 0; i < 10; i++)
		push(s, VETO_TOKEN, 0, row);
	veto_stream_close(s);
	veto_verifier_close(v);
}

static void rows_that_no_device_can_score_are_refused(void **state)
{
	struct veto_stream_info info = {.candidates = 1, .max_tokens = 5, .vocab = VETO_VOCAB_MAX + 1};
	struct veto_verifier *v;
	struct veto_stream *s = NULL;
	struct veto_rule rule;
	char why[VETO_WHY_MAX];

	(void)state;
	assert_int_equal(veto_verifier_open("tpu:", &v, why), -EINVAL);
	assert_int_equal(veto_verifier_open("cpu:isa=portable,threads=1", &v, why), 0);
	assert_int_equal(veto_stream_open(v, &info, &s, why), -EINVAL);
	assert_non_null(strstr(why, "rows of 262145 logits (1 to 262144)"));
	info.vocab = 10;
	info.top_k = 33;
	assert_int_equal(veto_stream_open(v, &info, &s, why), -EINVAL);
	info.top_k = 0;
	assert_int_equal(veto_rule_parse("weighted", &rule, why), 0);
	info.rule = &rule;
	info.rules = 1;
	info.candidates = 1;
	assert_int_equal(veto_stream_open(v, &info, &s, why), -EINVAL);
	assert_string_equal(why,
		"weighted: score=topk_confidence: the rows of this stream come without that score (a reward needs a head)");
	info.top_k = 5;
	info.subset_tokens = 1;
	assert_int_equal(veto_stream_open(v, &info, &s, why), -EINVAL);
	assert_string_equal(why, "a subset of 1 tokens without ids: at most 64");
	info.subset_tokens = 0;
	info.format = VETO_FORMATS;
	assert_int_equal(veto_stream_open(v, &info, &s, why), -EINVAL);
	assert_non_null(strstr(why, "can't score unknown rows"));
	info.format = VETO_FP32;
	info.candidates = 0;
	assert_int_equal(veto_stream_open(v, &info, &s, why), -EINVAL);
	assert_null(s);
	veto_verifier_close(v);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_certain_rows_are_rejected),
		cmocka_unit_test(the_scores_are_those_of_the_device),
		cmocka_unit_test(a_known_score_needs_no_row),
		cmocka_unit_test(an_event_out_of_place_is_reported_and_the_round_ends),
		cmocka_unit_test(a_poll_scores_a_piece),
		cmocka_unit_test(closing_with_rows_in_flight_waits_for_them),
		cmocka_unit_test(rows_that_no_device_can_score_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
