/* SPDX-License-Identifier: Apache-2.0 */
/* The RTL twin of veto_score_hidden: its results are the reference's, and what is the twin's own. */
#include "check.h"
#include "heads.h"
#include "hidden_launch.h"
#include "made_heads.h"
#include "rows.h"
#include "rtl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATES_MAX 3
#define MIN(a, b) ((a) < (b) ? (a) : (b))

static struct rtl *rtl; /* one for all launches: none leaves anything for the next */
static const struct hidden_launch *launched;
static struct dice dice = {11};

static const struct rtl_pace steady = {.latency_cycles = RTL_LATENCY_CYCLES};

static void *find(uint64_t address, uint64_t bytes)
{
	void *at = hidden_launch_find(launched, address, bytes);

	if (!at)
		fail_msg("a burst of %d bytes leaves its buffer", (int)bytes);
	return at;
}

static struct veto_trailer run(struct hidden_launch *l, const struct rtl_pace *pace)
{
	const uint64_t buffers[] = {(uintptr_t)l->states.at, (uintptr_t)l->jobs.at, (uintptr_t)l->results.at,
		(uintptr_t)l->meta.at, (uintptr_t)l->weights.at};
	const char *broken;

	if (!rtl)
		rtl = rtl_new(RTL_VETO_SCORE_HIDDEN, find);
	assert_non_null(rtl);
	launched = l;
	rtl_set_pace(rtl, pace);
	broken = rtl_launch(rtl, buffers, l->count);
	if (broken)
		fail_msg("%s", broken);
	return hidden_launch_trailer(l);
}

/* With a memory of another kind each time. */
static void check(struct hidden_launch *l, const char *what)
{
	static const struct rtl_pace paces[] = {
		{.latency_cycles = 0}, {.latency_cycles = 3, .gaps = 20}, {.latency_cycles = 100, .gaps = 70}};
	static uint64_t launches;
	struct rtl_pace pace = paces[launches % 3];
	struct veto_trailer trailer;

	pace.slow_read = (uint32_t)(launches % 5);
	pace.seed = launches++;
	trailer = run(l, &pace);
	assert_int_equal(trailer.error, VETO_KERNEL_OK);
	assert_int_equal(trailer.rows_done, l->count);
	hidden_launch_assert(l, (uint32_t)(l->results.used / sizeof(*l->want)), what);
}

/* Values of few bits, for ties; and such as round up to beyond the limit. */
static void make_few_bits(char *state, enum veto_format format, uint32_t cols)
{
	static const float value[] = {1, -1, 0.5f, 0.25f, -0.75f, 0, 0x1.fffffep+0f, -0x1.fffffep+0f};
	static const uint16_t half[] = {0x3c00, 0xbc00, 0x3800, 0x3400, 0xba00, 0, 0x3fff, 0xbfff};

	for (uint32_t i = 0; i < cols; i++) {
		const uint32_t k = dice_below(&dice, cols % 2 ? 8 : 6);
		uint32_t bits;

		memcpy(&bits, &value[k], sizeof(bits));
		bits = format == VETO_FP32 ? bits : format == VETO_FP16 ? half[k] : bits >> 16;
		memcpy(state + i * veto_format_bytes(format), &bits, veto_format_bytes(format));
	}
}

static enum veto_format any_format(void) { return (enum veto_format)dice_below(&dice, VETO_FORMATS); }

static enum veto_weight_format any_weights(void) { return dice_below(&dice, 2) ? VETO_INT16 : VETO_INT8; }

/* A job of random states. */
static void add(
	struct hidden_launch *l, const struct veto_head *head, enum veto_format format, uint32_t states, int kind)
{
	const struct hidden_place place = hidden_launch_load(l, head);
	const uint32_t cols = head->info.cols;
	const size_t bytes = cols * veto_format_bytes(format);
	uint32_t token[STATES_MAX];
	int64_t logp[STATES_MAX];
	char *data = malloc(states * bytes);

	assert_true(data && states <= STATES_MAX);
	for (uint32_t i = 0; i < states; i++) {
		const int k = kind >= 0 ? kind : (int)dice_below(&dice, STATE_KINDS + 1);
		void *state = state_new(k < STATE_KINDS ? (enum state_kind)k : STATE_NORMAL, format, cols, &dice);

		if (k == STATE_KINDS)
			make_few_bits(state, format, cols);
		memcpy(data + i * bytes, state, bytes);
		free(state);
		token[i] = dice_below(&dice, head->info.vocab ? head->info.vocab : 1);
		logp[i] = -(int64_t)dice_below(&dice, 1025u << 20 >> dice_below(&dice, 12));
		if (logp[i] < -(1024LL << 20))
			logp[i] = -(1024LL << 20);
	}
	hidden_launch_add(l, head, &place,
		&(struct veto_rows){.kind = VETO_HIDDEN,
			.format = format,
			.rows = states,
			.cols = cols,
			.stride_bytes = bytes,
			.data = data,
			.token = token,
			.token_logp_q20 = logp});
	free(data);
}

static void add_published(
	struct hidden_launch *l, const struct head_shape *shape, enum veto_weight_format format, uint32_t cols)
{
	struct veto_head *head = head_new(shape, format, cols, cols);

	add(l, head, any_format(), 1 + dice_below(&dice, STATES_MAX), -1);
	veto_head_close(head);
}

static void add_made(
	struct hidden_launch *l, uint32_t rows, uint32_t cols, enum veto_weight_format format, bool is_tied)
{
	struct made *m = made_new(rows, cols, format, is_tied, &dice);

	add(l, &m->head, any_format(), 1 + dice_below(&dice, STATES_MAX), is_tied ? STATE_KINDS : -1);
	made_free(m);
}

/* Of two layers. */
static void add_deep(struct hidden_launch *l, uint32_t width, uint32_t rows, uint32_t cols, bool is_tied)
{
	struct made *m = made_new(width, cols, any_weights(), is_tied, &dice);

	made_add(m, rows, any_weights(), &dice);
	add(l, &m->head, any_format(), 1 + dice_below(&dice, STATES_MAX), is_tied ? STATE_KINDS : -1);
	made_free(m);
}

static void add_table(struct hidden_launch *l, uint32_t vocab, uint32_t cols, bool has_lo)
{
	struct veto_head *head = table_new(vocab, cols, has_lo, cols);

	add(l, head, any_format(), STATES_MAX, -1);
	veto_head_close(head);
}

/* --- Results --- */

static const uint32_t widths[] = {1, 2, 31, 32, 33, 63, 64, 65, 100, 576, 1000};
#define WIDTHS (sizeof(widths) / sizeof(*widths))

static void published_heads_score_as_the_reference_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < WIDTHS; i++) {
		struct hidden_launch l = hidden_launch_new(i % 2 ? 0xff : 0);

		for (const struct head_shape *shape = head_shapes; shape->name; shape++)
			if (strcmp(shape->name, "subspace") != 0 && (widths[i] <= 576 || !shape->layer[0].rows_per_col))
				add_published(&l, shape, any_weights(), widths[i]);
		check(&l, "published heads");
		hidden_launch_free(&l);
	}
}

static void any_integers_score_as_the_reference_says(void **state)
{
	(void)state;
	for (int turn = 0; turn < 200; turn++) {
		struct hidden_launch l = hidden_launch_new(turn % 2 ? 0xff : 0x5a);

		for (int i = 0; i < 4; i++)
			add_made(&l, turn % 4 == 0 ? 64 : 1 + dice_below(&dice, 64), widths[dice_below(&dice, 9)],
				any_weights(), turn % 2);
		check(&l, "any integers");
		hidden_launch_free(&l);
	}
}

static void layers_follow_each_other(void **state)
{
	(void)state;
	for (int turn = 0; turn < 100; turn++) {
		struct hidden_launch l = hidden_launch_new(turn % 2 ? 0xff : 0x5a);

		for (int i = 0; i < 3; i++)
			add_deep(&l, turn % 10 ? widths[dice_below(&dice, 9)] : 1 + dice_below(&dice, 300),
				1 + dice_below(&dice, 64), widths[dice_below(&dice, 9)], turn % 3 == 0);
		check(&l, "layers");
		hidden_launch_free(&l);
	}
}

static void tables_score_as_the_reference_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < WIDTHS; i++) {
		struct hidden_launch l = hidden_launch_new(i % 2 ? 0 : 0xff);

		if (i < 3) /* ids of more than 16 bits */
			add_table(&l, 140000, 1, true);
		for (int turn = 0; turn < 4; turn++)
			add_table(&l, 21, widths[i], turn % 2);
		check(&l, "tables");
		hidden_launch_free(&l);
	}
}

static void distances_come_with_their_squares(void **state)
{
	(void)state;
	for (size_t i = 0; i < WIDTHS; i++) {
		struct hidden_launch l = hidden_launch_new(0xff);

		if (widths[i] >= 31)
			add_published(&l, shape_named("subspace"), VETO_INT16, widths[i]);
		for (int turn = 0; turn < 2; turn++) {
			struct made *m = made_new(1 + dice_below(&dice, 32), widths[i], VETO_INT16, turn, &dice);

			m->head.output = HEAD_DISTANCE;
			add(&l, &m->head, any_format(), STATES_MAX, -1);
			made_free(m);
		}
		check(&l, "distances");
		hidden_launch_free(&l);
	}
}

static void the_widest_states_score_as_the_reference_says(void **state)
{
	struct hidden_launch l = hidden_launch_new(0);

	(void)state;
	add_made(&l, 64, 3584, VETO_INT16, false);
	add_made(&l, 64, 3584, VETO_INT8, false);
	add_made(&l, 3, VETO_STATE_MAX, VETO_INT16, false);
	add_made(&l, 3, VETO_STATE_MAX, VETO_INT8, false);
	add_deep(&l, VETO_STATE_MAX, 2, 33, false);
	add_deep(&l, 16, 64, VETO_STATE_MAX, false);
	add_table(&l, 9, 3584, true);
	add_table(&l, 9, VETO_STATE_MAX, true);
	add_table(&l, 9, VETO_STATE_MAX, false);
	check(&l, "wide states");
	hidden_launch_free(&l);
}

/* The largest products of all, at which sums and what follows must not overflow. */
static void the_largest_sums_do_not_overflow(void **state)
{
	float data[VETO_STATE_MAX];
	const uint32_t token = 0;
	const int64_t logp = 0;
	const struct veto_rows rows = {.kind = VETO_HIDDEN,
		.rows = 1,
		.cols = VETO_STATE_MAX,
		.stride_bytes = sizeof(data),
		.data = data,
		.token = &token,
		.token_logp_q20 = &logp};
	struct hidden_launch l = hidden_launch_new(0);

	(void)state;
	for (uint32_t i = 0; i < VETO_STATE_MAX; i++)
		data[i] = 0x1.fffffep+0f;
	for (int sign = -1; sign <= 1; sign += 2) {
		struct veto_head *heads[4] = {made_largest(VETO_INT8, sign, false),
			made_largest(VETO_INT16, sign, false), made_largest(VETO_INT16, sign, true),
			made_largest_table(sign)};

		for (size_t i = 0; i < 4; i++) {
			const struct hidden_place place = hidden_launch_load(&l, heads[i]);

			hidden_launch_add(&l, heads[i], &place, &rows);
			made_head_free(heads[i]);
		}
	}
	check(&l, "largest sums");
	hidden_launch_free(&l);
}

/* --- The trailer --- */

/* A word of the third job of four, or of its head's meta; the head's, if it has one, has 3 rows of int16, and 40 columns. */
static void check_bad(struct veto_head *head, bool is_meta, uint32_t word, uint32_t value)
{
	struct hidden_launch l = hidden_launch_new(0);
	struct made *good = made_new(3, 40, VETO_INT16, false, &dice);
	struct veto_trailer trailer;
	uint64_t meta;

	add(&l, &good->head, VETO_BF16, 3, -1);
	add(&l, &good->head, VETO_FP32, 1, -1);
	meta = l.meta.used;
	add(&l, head, VETO_FP16, 1, -1);
	memcpy((is_meta ? l.meta.at + meta : l.jobs.at + l.jobs.used - sizeof(struct veto_hidden_job)) +
			4 * (size_t)word,
		&value, 4);
	hidden_launch_move(&l, (int)MIN(hidden_launch_last(&l)->states, VETO_STATES_MAX) - 1);
	add(&l, &good->head, VETO_FP16, 3, -1);
	trailer = run(&l, &steady);
	if (trailer.error != VETO_KERNEL_BAD_JOB || trailer.rows_done != 2)
		fail_msg("%s word %u is %u: error %u behind %u jobs", is_meta ? "meta's" : "the job's", word, value,
			trailer.error, trailer.rows_done);
	hidden_launch_assert(&l, 4, "before a bad job");
	for (size_t at = 4 * sizeof(*l.want); at < l.results.used - sizeof(trailer); at++)
		assert_int_equal(l.results.at[at], 0x77);
	made_free(good);
	hidden_launch_free(&l);
}

static void a_bad_job_ends_the_launch_and_leaves_the_results_before(void **state)
{
	static const struct {
		uint32_t word, value;
	} job[] = {{0, 1}, {0, 32}, {1, 64}, {2, 0}, {2, VETO_STATE_MAX + 1}, {2, UINT32_MAX}, {3, 3}, {3, 4}, {4, 0},
		{4, 4}, {7, 0}, {7, VETO_STATES_MAX + 1}, {7, UINT32_MAX}, {8, 8}, {9, 64}, {10, 32}, {11, 64}},
	  table[] = {{7, 2}, {7, 0}, {7, VETO_STATES_MAX}},
	  one[] = {{0, 0}, {0, 2}, {0, 3}, {1, 0}, {1, VETO_HEAD_OUTPUTS_MAX + 1}, {1, UINT32_MAX}, {3, 2}, {5, 2}},
	  two[] = {{1, 0}, {1, VETO_STATE_MAX + 1}, {2, 0}, {2, VETO_HEAD_OUTPUTS_MAX + 1}, {3, 2}, {4, 2}, {5, 1}},
	  distance[] = {{0, 2}, {1, VETO_DISTANCE_ROWS_MAX + 1}, {3, VETO_INT8}, {5, 2}};
	struct veto_head *long_table = table_new(9, 40, true, 1), *short_table = table_new(9, 40, false, 1);
	struct made *head = made_new(3, 40, VETO_INT16, false, &dice),
		    *deep = made_new(3, 40, VETO_INT16, false, &dice);

	(void)state;
	made_add(deep, 2, VETO_INT16, &dice);
	for (size_t i = 0; i < sizeof(job) / sizeof(*job); i++)
		check_bad(i % 2 ? &head->head : long_table, false, job[i].word, job[i].value);
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		check_bad(long_table, false, table[i].word, table[i].value);
		check_bad(short_table, false, table[i].word, table[i].value);
	}
	for (size_t i = 0; i < sizeof(one) / sizeof(*one); i++)
		check_bad(&head->head, true, one[i].word, one[i].value);
	for (size_t i = 0; i < sizeof(two) / sizeof(*two); i++)
		check_bad(&deep->head, true, two[i].word, two[i].value);
	head->head.output = HEAD_DISTANCE;
	for (size_t i = 0; i < sizeof(distance) / sizeof(*distance); i++)
		check_bad(&head->head, true, distance[i].word, distance[i].value);
	veto_head_close(long_table);
	veto_head_close(short_table);
	made_free(head);
	made_free(deep);
}

/* The first burst whose failing nobody sees: there is none that late.  Each launch forgets what failed before. */
static uint32_t first_harmless(struct hidden_launch *l, bool is_read)
{
	uint32_t fails = 0, error = VETO_KERNEL_BAD_BUS;

	while (error == VETO_KERNEL_BAD_BUS) {
		const struct rtl_pace pace = {.latency_cycles = 5,
			.failing_reads = is_read ? fails + 1 : 0,
			.failing_writes = is_read ? 0 : fails + 1};

		fails++;
		error = run(l, &pace).error;
		check(l, "behind an error");
	}
	assert_int_equal(error, VETO_KERNEL_OK);
	return fails;
}

static void an_error_of_the_memory_ends_in_the_trailer(void **state)
{
	struct hidden_launch l = hidden_launch_new(0);
	uint32_t states;

	(void)state;
	add_deep(&l, 9, 2, 10, false);
	add_deep(&l, 9, 2, 10, false);
	states = (uint32_t)(l.results.used / sizeof(*l.want));
	add_table(&l, 9, 10, true);
	/* Reads: of the jobs, of both heads, and for each state scales, two passes and weights; for each of three tokens a
	 * scale, two passes and weights.  Writes: results and the trailer. */
	assert_int_equal(first_harmless(&l, true), 1 + 2 + 4 * states + 3 * 4 + 1);
	assert_int_equal(first_harmless(&l, false), l.results.used / sizeof(struct veto_beat) + 1);
	hidden_launch_free(&l);
}

static void a_launch_of_too_many_jobs_is_refused(void **state)
{
	struct hidden_launch l = hidden_launch_new(0);

	(void)state;
	l.count = VETO_LAUNCH_ROWS_MAX + 1;
	assert_int_equal(run(&l, &steady).error, VETO_KERNEL_BAD_COUNT);
	l.count = 0;
	check(&l, "nothing");
	hidden_launch_free(&l);
}

/* --- The twin's own --- */

static uint64_t cycles(
	uint32_t rows, uint32_t cols, enum veto_weight_format weights, enum veto_format format, uint32_t states)
{
	struct hidden_launch l = hidden_launch_new(0);
	struct made *m = made_new(rows, cols, weights, false, &dice);
	struct veto_trailer trailer;

	add(&l, &m->head, format, states, STATE_NORMAL);
	trailer = run(&l, &steady);
	assert_int_equal(trailer.error, VETO_KERNEL_OK);
	hidden_launch_assert(&l, states, "steady");
	made_free(m);
	hidden_launch_free(&l);
	return rtl_cycles(rtl);
}

static void weights_take_little_more_than_their_beats(void **state)
{
	enum { COLS = 3584, ROWS = 64 };

	(void)state;
	for (int f = VETO_INT8; f <= VETO_INT16; f++) {
		const enum veto_weight_format weights = (enum veto_weight_format)f;
		const uint64_t row = COLS * (f == VETO_INT8 ? 1 : 2) / 64, beats = ROWS * row;
		const uint64_t one = cycles(ROWS, COLS, weights, VETO_BF16, 1);
		const uint64_t two = cycles(ROWS, COLS, weights, VETO_BF16, 2);
		const uint64_t passes = 2 * (COLS * 2 / 64);

		/* Rows follow each other without a gap; and so, nearly, do the states of a batch. */
		assert_int_equal(one - cycles(ROWS / 2, COLS, weights, VETO_BF16, 1), beats / 2);
		assert_in_range(two - one, beats, beats * 100 / 95);
		assert_in_range(one - passes, beats, beats * 105 / 100 + 200);
		printf("int%d, %d x %d: %llu clocks, %llu for one state more; %llu beats of weights, %llu of both passes\n",
			f == VETO_INT8 ? 8 : 16, ROWS, COLS, (unsigned long long)one, (unsigned long long)(two - one),
			(unsigned long long)beats, (unsigned long long)passes);
	}
}

/* A job waits for the state that it has, and starts when the one before it has ended. */
static void the_job_of_a_token_takes_little_more_than_its_beats(void **state)
{
	enum { COLS = 3584, TOKENS = STATES_MAX };
	const uint64_t beats = 2 * (COLS * 2 / 64) + COLS * 3 / 64;
	struct veto_head *head = table_new(9, COLS, true, 1);
	struct hidden_launch l = hidden_launch_new(0);
	uint64_t one, clocks;

	(void)state;
	add(&l, head, VETO_BF16, TOKENS, STATE_NORMAL);
	run(&l, &steady);
	one = rtl_cycles(rtl);
	add(&l, head, VETO_BF16, TOKENS, STATE_NORMAL);
	run(&l, &steady);
	clocks = (rtl_cycles(rtl) - one) / TOKENS;
	assert_in_range(clocks, beats, beats + 100);
	printf("a token of %d x 24 bits: %llu clocks; %llu beats of weights and of both passes\n", COLS,
		(unsigned long long)clocks, (unsigned long long)beats);
	hidden_launch_free(&l);
	veto_head_close(head);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_heads_score_as_the_reference_says),
		cmocka_unit_test(any_integers_score_as_the_reference_says),
		cmocka_unit_test(layers_follow_each_other),
		cmocka_unit_test(tables_score_as_the_reference_says),
		cmocka_unit_test(distances_come_with_their_squares),
		cmocka_unit_test(the_widest_states_score_as_the_reference_says),
		cmocka_unit_test(the_largest_sums_do_not_overflow),
		cmocka_unit_test(a_bad_job_ends_the_launch_and_leaves_the_results_before),
		cmocka_unit_test(an_error_of_the_memory_ends_in_the_trailer),
		cmocka_unit_test(a_launch_of_too_many_jobs_is_refused),
		cmocka_unit_test(weights_take_little_more_than_their_beats),
		cmocka_unit_test(the_job_of_a_token_takes_little_more_than_its_beats),
	};
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);

	rtl_free(rtl);
	return failed;
}
