/* SPDX-License-Identifier: Apache-2.0 */
/* Test bench of veto_score_hidden: its results are the reference's, whatever lies around states and weights. */
#include "check.h"
#include "heads.h"
#include "launch_hidden.h"
#include "rows.h"
#include "score_hidden.h"

#include <stdlib.h>
#include <string.h>

#define BEAT sizeof(struct veto_beat)

static const uint32_t batches[] = {1, 2, 15, 16};
/* NaN in two ways, zeros, plain numbers. */
static const int fillers[] = {0xff, 0x7f, 0, 0x42};
static struct dice dice = {11};

/* A head in every format, in few or many states, as one launch. */
static void check_head(struct veto_head *head, bool is_thorough, const char *what)
{
	struct hidden_launch *l = hidden_launch_new(fillers[dice_below(&dice, 4)]);
	const uint32_t any = dice_below(&dice, 4);

	for (int f = 0; f < VETO_FORMATS; f++)
		for (uint32_t b = 0; b < 4; b++)
			if (is_thorough || b == (any + (uint32_t)f) % 4)
				hidden_launch_add(l, head, (enum veto_format)f, STATE_KINDS, batches[b], &dice);
	hidden_launch_check(l, what);
}

static void heads_of_every_shape_and_size_have_the_results_of_the_reference(void **state)
{
	static const uint32_t cols[] = {1, 2, 16, 31, 32, 33, 48, 63, 64, 65, 100, 576, 1000};

	(void)state;
	for (size_t i = 0; i < sizeof(cols) / sizeof(*cols); i++) {
		for (const struct head_shape *s = head_shapes; s->name; s++)
			for (int format = VETO_INT8; format <= VETO_INT16; format++) {
				const bool is_subspace = strcmp(s->name, "subspace") == 0;
				struct veto_head *head;

				if (is_subspace && (cols[i] < 31 || format == VETO_INT8))
					continue;
				head = head_new(s, (enum veto_weight_format)format, cols[i], cols[i]);
				check_head(head, cols[i] <= 100, s->name);
				veto_head_close(head);
			}
		for (int has_lo = 0; has_lo < 2; has_lo++) {
			struct veto_head *table = table_new(50, cols[i], has_lo, cols[i]);

			for (int again = 0; again < 10; again++)
				check_head(table, true, "a table");
			veto_head_close(table);
		}
	}
}

static void the_longest_states_have_the_results_of_the_reference(void **state)
{
	enum { HEADS = 5 };
	struct veto_head *head[HEADS] = {
		head_new(shape_named("token-prm"), VETO_INT8, VETO_STATE_MAX, 1),
		head_new(shape_named("token-prm"), VETO_INT16, VETO_STATE_MAX, 2),
		head_new(shape_named("subspace"), VETO_INT16, VETO_STATE_MAX, 3),
		table_new(3, VETO_STATE_MAX, true, 4),
		table_new(3, VETO_STATE_MAX, false, 5),
	};

	(void)state;
	for (int i = 0; i < HEADS; i++) {
		check_head(head[i], false, "the longest");
		veto_head_close(head[i]);
	}
}

/* --- Heads of numbers that no training gives --- */

struct craft {
	uint32_t cols, layers, rows[VETO_HEAD_LAYERS_MAX];
	enum veto_weight_format format[VETO_HEAD_LAYERS_MAX];
	bool is_distance;
	bool is_plain; /* scales of the rows of a layer are alike, and biases small */
};

static int64_t one_of(const int64_t *values, uint32_t count) { return values[dice_below(&dice, count)]; }
#define ONE_OF(...) one_of((const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static void craft_weights(void *weight, size_t count, enum veto_weight_format format)
{
	const int32_t most = format == VETO_INT8 ? 127 : 32767;
	const uint32_t kind = dice_below(&dice, 5);

	for (size_t i = 0; i < count; i++) {
		const int32_t w = kind == 0   ? most
				  : kind == 1 ? -most
				  : kind == 2 ? (int32_t)dice_below(&dice, 3) - 1
				  : kind == 3 ? (int32_t)ONE_OF(-most, most, 0)
					      : (int32_t)dice_below(&dice, 2 * (uint32_t)most + 1) - most;

		if (format == VETO_INT8)
			((int8_t *)weight)[i] = (int8_t)w;
		else
			((int16_t *)weight)[i] = (int16_t)w;
	}
}

static void craft_scales(struct veto_weight_scale *scale, uint32_t rows, bool is_plain)
{
	const int16_t sh = (int16_t)(8 + dice_below(&dice, 32));
	const int32_t bias = dice_below(&dice, 3) ? (int32_t)dice_below(&dice, 1 << 20) : -(1 << 20);

	for (uint32_t o = 0; o < rows; o++) {
		scale[o].mant = (uint16_t)ONE_OF(32768, 32768, 65535, 49152, 32768 + dice_below(&dice, 32768));
		scale[o].sh =
			(int16_t)ONE_OF(8 + dice_below(&dice, 32), VETO_WEIGHT_SH_MIN + (int)dice_below(&dice, 192));
		scale[o].bias =
			(int32_t)ONE_OF(0, INT32_MAX, INT32_MIN, 0x7fffc000, 0x7fff8000, -1, (int32_t)dice_next(&dice));
		if (is_plain) {
			scale[o].sh = sh;
			scale[o].bias = bias < 0 ? bias : (int32_t)dice_below(&dice, (uint32_t)bias + 1);
		}
	}
}

static struct veto_head *craft(const struct craft *c)
{
	struct veto_head *head = calloc(1, sizeof(*head));
	uint32_t cols = c->cols;

	assert_non_null(head);
	head->info = (struct veto_head_info){.kind = VETO_HEAD_DENSE,
		.cols = c->cols,
		.layers = c->layers,
		.outputs = c->is_distance ? 1 : c->rows[c->layers - 1]};
	head->output = c->is_distance ? HEAD_DISTANCE : HEAD_RAW;
	for (uint32_t l = 0; l < c->layers; l++) {
		const size_t count = (size_t)c->rows[l] * cols;
		int16_t *weight = malloc(count * sizeof(*weight)); /* the wider format */
		struct veto_weight_scale *scale = malloc(c->rows[l] * sizeof(*scale));

		if (!weight || !scale)
			abort();
		craft_weights(weight, count, c->format[l]);
		craft_scales(scale, c->rows[l], c->is_plain);
		head->layer[l] = (struct hx1_layer){c->rows[l], cols, c->format[l], weight, scale};
		cols = c->rows[l];
	}
	return head;
}

static void craft_free(struct veto_head *head)
{
	for (uint32_t l = 0; l < VETO_HEAD_LAYERS_MAX; l++) {
		free((void *)(uintptr_t)head->layer[l].weight);
		free((void *)(uintptr_t)head->layer[l].scale);
	}
	free((void *)(uintptr_t)head->hi);
	free((void *)(uintptr_t)head->lo);
	free((void *)(uintptr_t)head->f);
	free((void *)(uintptr_t)head->c);
	free(head);
}

static void heads_of_any_numbers_have_the_results_of_the_reference(void **state)
{
	enum { HEADS = 600 };

	(void)state;
	for (int i = 0; i < HEADS; i++) {
		struct craft c = {.cols = 1 + dice_below(&dice, dice_below(&dice, 2) ? 4 : 200),
			.layers = dice_below(&dice, 2) ? 2 : 1,
			.rows = {1 + dice_below(&dice, 64), 1 + dice_below(&dice, 64)},
			.format = {(enum veto_weight_format)dice_below(&dice, 2),
				(enum veto_weight_format)dice_below(&dice, 2)},
			.is_plain = dice_below(&dice, 2)};
		struct veto_head *head;

		if (i % 5 == 0) {
			c.is_distance = true;
			c.layers = 1;
			c.rows[0] = 1 + dice_below(&dice, VETO_DISTANCE_ROWS_MAX);
			c.format[0] = VETO_INT16;
		} else if (c.layers == 2) {
			c.rows[0] = 1 + dice_below(&dice, 300);
		}
		head = craft(&c);
		check_head(head, true, "of any numbers");
		craft_free(head);
	}
}

static void the_largest_heads_have_the_results_of_the_reference(void **state)
{
	static const struct craft largest[] = {
		{3, 2, {VETO_STATE_MAX, VETO_HEAD_OUTPUTS_MAX}, {VETO_INT16, VETO_INT16}, false, true},
		{1, 2, {VETO_STATE_MAX, VETO_HEAD_OUTPUTS_MAX}, {VETO_INT8, VETO_INT8}, false, false},
		{VETO_STATE_MAX, 1, {VETO_DISTANCE_ROWS_MAX}, {VETO_INT16}, true, true},
		{VETO_STATE_MAX, 1, {VETO_HEAD_OUTPUTS_MAX}, {VETO_INT8}, false, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(largest) / sizeof(*largest); i++) {
		struct veto_head *head = craft(&largest[i]);

		check_head(head, false, "the largest");
		craft_free(head);
	}
}

/* Next to 2^60, where shifts by 60 leave 1. */
static void the_largest_sums_have_the_results_of_the_reference(void **state)
{
	static const struct craft largest = {VETO_STATE_MAX, 1, {16}, {VETO_INT16}, false, true};
	static const uint16_t nearly_2 = 0x3fff; /* fp16 */
	struct hidden_launch *l = hidden_launch_new(0);
	struct veto_head *head = craft(&largest);
	int16_t *weight = (void *)(uintptr_t)head->layer[0].weight;
	struct veto_weight_scale *scale = (void *)(uintptr_t)head->layer[0].scale;

	(void)state;
	for (uint32_t o = 0; o < 16; o++) {
		scale[o] = (struct veto_weight_scale){.mant = 65535, .sh = (int16_t)(58 + o / 2)};
		for (uint32_t i = 0; i < VETO_STATE_MAX; i++)
			weight[o * VETO_STATE_MAX + i] = o % 2 ? 32767 : -32767;
	}
	hidden_launch_add(l, head, VETO_FP16, STATE_ZEROS, 1, &dice);
	for (size_t i = 0; i < VETO_STATE_MAX; i++)
		memcpy(l->states.data + l->job[0].state_offset + i * sizeof(nearly_2), &nearly_2, sizeof(nearly_2));
	hidden_launch_check(l, "the largest sums");
	craft_free(head);
}

static void tables_of_any_numbers_have_the_results_of_the_reference(void **state)
{
	enum { TABLES = 300, VOCAB = 37, COLS_MAX = 150 };

	(void)state;
	for (int i = 0; i < TABLES; i++) {
		const uint32_t cols = 1 + dice_below(&dice, dice_below(&dice, 2) ? 3 : COLS_MAX);
		struct veto_head *head = calloc(1, sizeof(*head));
		int16_t *hi = malloc(VOCAB * cols * sizeof(*hi)), *f = malloc(VOCAB * sizeof(*f));
		uint8_t *lo = malloc(VOCAB * cols);
		int32_t *c = malloc(VOCAB * sizeof(*c));

		assert_true(head && hi && f && lo && c);
		craft_weights(hi, VOCAB * cols, VETO_INT16);
		for (size_t j = 0; j < VOCAB * cols; j++)
			lo[j] = (uint8_t)ONE_OF(0, 128, 255, dice_below(&dice, 256));
		for (int j = 0; j < VOCAB; j++) {
			f[j] = (int16_t)ONE_OF(0, 24, 20, (int)dice_below(&dice, 80) - 40, INT16_MAX, INT16_MIN);
			c[j] = (int32_t)ONE_OF(0, INT32_MAX, INT32_MIN, (int32_t)dice_next(&dice));
		}
		head->info = (struct veto_head_info){.kind = VETO_HEAD_SCH, .cols = cols, .vocab = VOCAB};
		head->hi = hi;
		head->lo = i % 2 ? lo : NULL;
		head->f = f;
		head->c = c;
		check_head(head, true, "a table of any numbers");
		head->lo = lo;
		craft_free(head);
	}
}

/* --- Launches --- */

/* Long after short, many states after few, tables between heads: nothing of a job is left for the next. */
static void jobs_of_a_launch_do_not_touch_each_other(void **state)
{
	enum { LAUNCHES = 30, HEADS = 8 };
	struct veto_head *head[HEADS] = {
		head_new(shape_named("probe"), VETO_INT16, 500, 1),
		head_new(shape_named("sprm"), VETO_INT8, 70, 2),
		head_new(shape_named("reasoneval"), VETO_INT8, 3, 3),
		head_new(shape_named("subspace"), VETO_INT16, 130, 4),
		head_new(shape_named("coderl"), VETO_INT16, 33, 5),
		head_new(shape_named("token-prm"), VETO_INT16, 16, 6),
		table_new(50, 300, true, 7),
		table_new(50, 48, false, 8),
	};

	(void)state;
	for (int launch = 0; launch < LAUNCHES; launch++) {
		struct hidden_launch *l = hidden_launch_new((int)dice_below(&dice, 256));
		const uint32_t jobs = 1 + dice_below(&dice, 24);

		for (uint32_t i = 0; i < jobs; i++)
			hidden_launch_add(l, head[dice_below(&dice, HEADS)],
				(enum veto_format)dice_below(&dice, VETO_FORMATS), STATE_KINDS,
				1 + dice_below(&dice, VETO_STATES_MAX), &dice);
		hidden_launch_check(l, "of many");
	}
	for (int i = 0; i < HEADS; i++)
		veto_head_close(head[i]);
}

static void a_bad_state_leaves_the_others_their_results(void **state)
{
	struct veto_head *head[] = {head_new(shape_named("probe"), VETO_INT16, 100, 1),
		head_new(shape_named("subspace"), VETO_INT16, 100, 2), table_new(9, 100, true, 3)};

	(void)state;
	for (int i = 0; i < 3; i++)
		for (int f = 0; f < VETO_FORMATS; f++) {
			struct hidden_launch *l = hidden_launch_new(0);
			struct veto_hidden_job *job = &l->job[1];
			uint32_t bad;

			for (int j = 0; j < 3; j++)
				hidden_launch_add(l, head[i], (enum veto_format)f, j == 2 ? STATE_BAD : STATE_NORMAL,
					VETO_STATES_MAX, &dice);
			bad = dice_below(&dice, job->states);
			memset(l->states.data + job->state_offset +
					bad * ((100 * veto_format_bytes((enum veto_format)f) + 63) / 64 * 64) +
					99 * veto_format_bytes((enum veto_format)f),
				0xff, veto_format_bytes((enum veto_format)f));
			hidden_launch_run(l, 3);
			assert_int_equal(l->results[5 * (job->states + bad)].w[0], VETO_HIDDEN_BAD_STATE);
			hidden_launch_assert(l, 3, "beside a bad one");
			hidden_launch_free(l);
		}
	for (int i = 0; i < 3; i++)
		veto_head_close(head[i]);
}

/* A word of the second job of three, or of its head's meta. */
struct bad {
	uint32_t word, value;
};

static void check_bad(struct veto_head *head, const struct bad *bad, bool is_meta)
{
	struct veto_head *good = head_new(shape_named("token-prm"), VETO_INT16, 20, 1);
	struct hidden_launch *l = hidden_launch_new(0);
	struct veto_trailer trailer;

	hidden_launch_add(l, good, VETO_FP16, STATE_NORMAL, 3, &dice);
	hidden_launch_add(l, head, VETO_FP16, STATE_NORMAL, 2, &dice);
	hidden_launch_add(l, good, VETO_FP32, STATE_NORMAL, 5, &dice);
	memcpy((is_meta ? l->meta.data + l->job[1].meta_offset : (char *)&l->job[1]) + 4 * (size_t)bad->word,
		&bad->value, 4);
	trailer = hidden_launch_run(l, 3);
	if (trailer.error != VETO_KERNEL_BAD_JOB || trailer.rows_done != 1)
		fail_msg("%s word %u is %u: error %u behind %u jobs", is_meta ? "meta's" : "the job's", bad->word,
			bad->value, trailer.error, trailer.rows_done);
	hidden_launch_assert(l, 1, "before a bad job");
	hidden_launch_free(l);
	veto_head_close(good);
}

static void jobs_behind_a_bad_one_are_not_scored(void **state)
{
	static const struct bad job[] = {{0, 32}, {0, 1}, {2, 0}, {2, VETO_STATE_MAX + 1}, {2, UINT32_MAX}, {3, 3},
		{4, 0}, {4, 4}, {7, 0}, {7, VETO_STATES_MAX + 1}, {7, UINT32_MAX}, {8, 8}, {10, 32}};
	static const struct bad table[] = {{7, 0}, {7, 2}, {7, VETO_STATES_MAX}, {8, 8}, {2, 0}, {3, 3}, {10, 63}};
	static const struct bad one[] = {{0, 0}, {0, 3}, {1, 0}, {1, VETO_HEAD_OUTPUTS_MAX + 1}, {3, 2}, {5, 2}};
	static const struct bad two[] = {{0, 0}, {0, 3}, {1, 0}, {1, VETO_STATE_MAX + 1}, {2, 0},
		{2, VETO_HEAD_OUTPUTS_MAX + 1}, {3, 2}, {4, 2}, {5, 1}, {5, UINT32_MAX}};
	static const struct bad subspace[] = {{1, VETO_DISTANCE_ROWS_MAX + 1}, {3, VETO_INT8}, {0, 2}, {5, 2}};
	struct veto_head *head[] = {head_new(shape_named("token-prm"), VETO_INT16, 40, 1),
		head_new(shape_named("probe"), VETO_INT16, 40, 2), head_new(shape_named("subspace"), VETO_INT16, 40, 3),
		table_new(9, 40, true, 4), table_new(9, 40, false, 5)};

	(void)state;
	for (size_t i = 0; i < sizeof(job) / sizeof(*job); i++)
		check_bad(head[i % 3], &job[i], false);
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		for (int t = 3; t < 5; t++)
			check_bad(head[t], &table[i], false);
	for (size_t i = 0; i < sizeof(one) / sizeof(*one); i++)
		check_bad(head[0], &one[i], true);
	for (size_t i = 0; i < sizeof(two) / sizeof(*two); i++)
		check_bad(head[1], &two[i], true);
	for (size_t i = 0; i < sizeof(subspace) / sizeof(*subspace); i++)
		check_bad(head[2], &subspace[i], true);
	for (int i = 0; i < 5; i++)
		veto_head_close(head[i]);
}

static void a_launch_has_as_many_jobs_as_it_may(void **state)
{
	struct veto_head *head = head_new(shape_named("token-prm"), VETO_INT16, 2, 1);
	struct hidden_launch *l = hidden_launch_new(0);
	struct veto_trailer trailer;

	(void)state;
	for (uint32_t i = 0; i < VETO_LAUNCH_ROWS_MAX; i++)
		hidden_launch_add(l, head, VETO_FP32, STATE_NORMAL, 1 + i % 2, &dice);
	trailer = hidden_launch_run(l, VETO_LAUNCH_ROWS_MAX + 1);
	assert_int_equal(trailer.error, VETO_KERNEL_BAD_COUNT);
	assert_int_equal(trailer.rows_done, 0);
	hidden_launch_check(l, "of as many as may be");
	veto_head_close(head);
}

static void a_launch_of_no_jobs_leaves_its_trailer(void **state)
{
	struct hidden_launch *l = hidden_launch_new(0);
	const struct veto_trailer trailer = hidden_launch_run(l, 0);

	(void)state;
	assert_int_equal(trailer.error, VETO_KERNEL_OK);
	assert_int_equal(trailer.rows_done, 0);
	hidden_launch_free(l);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_of_every_shape_and_size_have_the_results_of_the_reference),
		cmocka_unit_test(the_longest_states_have_the_results_of_the_reference),
		cmocka_unit_test(heads_of_any_numbers_have_the_results_of_the_reference),
		cmocka_unit_test(the_largest_heads_have_the_results_of_the_reference),
		cmocka_unit_test(the_largest_sums_have_the_results_of_the_reference),
		cmocka_unit_test(tables_of_any_numbers_have_the_results_of_the_reference),
		cmocka_unit_test(jobs_of_a_launch_do_not_touch_each_other),
		cmocka_unit_test(a_bad_state_leaves_the_others_their_results),
		cmocka_unit_test(jobs_behind_a_bad_one_are_not_scored),
		cmocka_unit_test(a_launch_has_as_many_jobs_as_it_may),
		cmocka_unit_test(a_launch_of_no_jobs_leaves_its_trailer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
