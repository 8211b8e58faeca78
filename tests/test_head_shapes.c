/* SPDX-License-Identifier: Apache-2.0 */
/* Every known shape of a head becomes one that gives the reward of its floats. */
#include "check.h"
#include "heads.h"
#include "rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The reward by the table of heads, from outputs in double. */
static double exact_reward(const struct head_shape *shape, const double *out, uint32_t outputs, double squares)
{
	double sum = 0, rest = squares;

	if (strcmp(shape->output, "sigmoid") == 0)
		return 1 / (1 + exp(-out[0]));
	if (strcmp(shape->output, "raw") == 0)
		return out[0];
	if (strcmp(shape->output, "distance") == 0) {
		for (uint32_t k = 0; k < outputs; k++)
			rest -= out[k] * out[k];
		return -sqrt(rest);
	}
	for (uint32_t k = 0; k < outputs; k++)
		sum += exp(out[k]);
	if (strcmp(shape->output, "softmax:3") == 0)
		return exp(out[3]) / sum;
	return (exp(out[1]) + (strcmp(shape->output, "softmax:1+2") == 0 ? exp(out[2]) : 0)) / sum;
}

/* What the import of a published head goes through. */
struct import {
	struct published published;
	char path[32], why[VETO_WHY_MAX];
	struct map map;
	struct safetensors st;
	struct head_source source[VETO_HEAD_LAYERS_MAX];
	struct veto_head *head;
};

/* As the command does it, from a file and into one. */
static void import(struct import *m, const struct head_shape *shape, const char *type, uint32_t cols)
{
	const struct head_texts texts = {shape->name, shape->output, shape->aggregation, shape->tap, "any", "", NULL};
	char made[] = "/tmp/veto_made.XXXXXX";
	const struct head_shape *found = NULL;

	*m = (struct import){.path = "/tmp/veto_published.XXXXXX"};
	close(mkstemp(m->path));
	close(mkstemp(made));
	published_new(&m->published, shape, type, cols, cols);
	published_write(&m->published, m->path);
	if (map_open(m->path, &m->map, m->why) ||
		safetensors_parse(m->map.data, m->map.bytes, m->path, &m->st, m->why) ||
		head_shape_find(shape->name, &m->st, &found, m->source, m->why))
		fail_msg("%s", m->why);
	assert_ptr_equal(found, shape);
	if (head_make_dense(made, &texts, m->source, shape->layers, VETO_INT16, m->why) ||
		veto_head_open(made, &m->head, m->why))
		fail_msg("%s", m->why);
	unlink(made);
	assert_int_equal(veto_head_info(m->head)->cols, cols);
	assert_string_equal(veto_head_info(m->head)->tap, shape->tap);
}

static void import_end(struct import *m)
{
	veto_head_close(m->head);
	safetensors_free(&m->st);
	map_close(&m->map);
	published_free(&m->published);
	unlink(m->path);
}

/* The reward of a state by the floats that were published. */
static double published_reward(
	const struct import *m, const struct head_shape *shape, const float *state, uint32_t cols)
{
	double *room = malloc(VETO_STATE_MAX * sizeof(*room)), out[VETO_HEAD_OUTPUTS_MAX], squares = 0;

	for (uint32_t i = 0; i < cols; i++)
		squares += (double)state[i] * state[i];
	head_exact(m->source, shape->layers, state, room, out);
	free(room);
	return exact_reward(shape, out, (uint32_t)m->source[shape->layers - 1].weight->shape[0], squares);
}

/* Import, and compare on random states, of which the last has values far out. */
static void check_shape(const struct head_shape *shape, const char *type, uint32_t cols)
{
	enum { STATES = 3 };
	struct import m;
	struct veto_device *dev;
	struct dice dice = {cols + 1};
	float *x = malloc(cols * STATES * sizeof(*x));
	struct veto_score score[STATES];

	import(&m, shape, type, cols);
	for (uint32_t i = 0; i < cols * STATES; i++)
		x[i] = 2.5f * dice_normal(&dice);
	for (int i = 0; i < 4; i++)
		x[(STATES - 1) * cols + dice_below(&dice, cols)] = (float)(60 + 60 * dice_unit(&dice));
	struct veto_rows rows = {
		.kind = VETO_HIDDEN, .rows = STATES, .cols = cols, .stride_bytes = cols * sizeof(*x), .data = x};

	assert_int_equal(veto_device_open("cpu:", &dev, NULL), 0);
	assert_int_equal(veto_device_load(dev, m.head, &rows.head, NULL), 0);
	assert_int_equal(veto_device_score(dev, &rows, &(struct veto_results){.score = score}), 0);
	veto_device_close(dev);
	for (uint32_t s = 0; s < STATES; s++) {
		const double exact = published_reward(&m, shape, x + (size_t)s * cols, cols);
		const double got = (double)score[s].field[VETO_REWARD].low / 0x1p31;

		assert_int_equal(score[s].has, 1u << VETO_REWARD);
		/* What is no probability may be large there. */
		if (!(fabs(got - exact) <= 1e-3 * (veto_head_info(m.head)->is_probability ? 1 : fmax(1, fabs(exact)))))
			fail_msg("%s, D = %u: %g, expected %g", shape->name, cols, got, exact);
	}
	import_end(&m);
	free(x);
}

/* The state (3, 4), through weights of which all that are not named are 0: each reward is worked out in its comment. */
static void every_shape_gives_a_reward_worked_by_hand(void **state)
{
	static const double log2_ = 0.69314718055994531, log3 = 1.0986122886681098;
	const struct {
		const char *shape;
		double reward;
		struct {
			uint32_t tensor, index; /* weight and bias of each layer, in turn */
			double value;
		} set[8];
	} cases[] = {
		/* ReLU (3, -4) = (3, 0); z = (0, 3 - 3 + log 3): 3/4 */
		{"qwen-prm", 0.75, {{0, 0, 1}, {0, 3, -1}, {2, 2, 1}, {2, 3, 9}, {3, 1, log3 - 3}}},
		/* 2 * 3 - 1, as it is */
		{"qwen-rm", 5, {{0, 0, 1}, {0, 3, -1}, {2, 0, 2}, {2, 1, 9}, {3, 0, -1}}},
		/* 4 * 3 - 3 * 4 + log 3: 3/4 */
		{"skywork-prm", 0.75, {{0, 0, 4}, {0, 1, -3}, {1, 0, log3}}},
		/* z = (0, log 2, 0): 1/4, 1/2 and 1/4, of which the last two are the validity */
		{"reasoneval", 0.75, {{0, 2, 4}, {0, 3, -3}, {1, 1, log2_}}},
		/* z = (0, log 3) */
		{"token-prm", 0.75, {{0, 2, 4}, {0, 3, -3}, {1, 1, log3}}},
		/* ReLU (3, 4, -3, -4) = (3, 4, 0, 0); 4 * 3 - 3 * 4 + log 3 */
		{"sprm", 0.75,
			{{0, 0, 1}, {0, 3, 1}, {0, 4, -1}, {0, 7, -1}, {2, 0, 4}, {2, 1, -3}, {2, 2, 9}, {3, 0, log3}}},
		/* row 5: ReLU (4 - 3 - 2) = 0, row 7: 7; 7 - 7 - log 3: 1/4 */
		{"probe", 0.25,
			{{0, 10, -1}, {0, 11, 1}, {1, 5, -2}, {0, 14, 1}, {0, 15, 1}, {2, 5, 9}, {2, 7, 1},
				{3, 0, -7 - log3}}},
		/* row 127: 3; z = (0, 0, 0, 3 - 3 + log 3): 3/6 */
		{"coderl", 0.5, {{0, 254, 1}, {2, 3 * 128 + 127, 1}, {3, 3, log3 - 3}}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const float x[] = {3, 4};
		const struct veto_rows rows = {.kind = VETO_HIDDEN, .rows = 1, .cols = 2, .data = x};
		int32_t room[2 * 256];
		struct head_result result;
		struct veto_score score;
		struct published p;
		struct veto_head *head;
		double got;

		published_new(&p, shape_named(cases[i].shape), "F32", 2, 1);
		for (uint32_t t = 0; t < p.tensors; t++)
			memset((void *)p.tensor[t].data, 0, p.tensor[t].bytes);
		for (size_t j = 0; j < 8 && cases[i].set[j].value != 0; j++)
			((float *)p.tensor[cases[i].set[j].tensor].data)[cases[i].set[j].index] =
				(float)cases[i].set[j].value;
		head = published_head(&p, VETO_INT16);
		head_score(head, &rows, 0, room, room + 256, &result);
		head_finish(head, &rows, 0, &result, &score, NULL);
		got = (double)score.field[VETO_REWARD].low / 0x1p31;
		if (!(fabs(got - cases[i].reward) < 1e-3))
			fail_msg("%s: %g, expected %g", cases[i].shape, got, cases[i].reward);
		veto_head_close(head);
		published_free(&p);
	}
}

static void every_shape_gives_the_reward_of_its_floats(void **state)
{
	(void)state;
	for (const struct head_shape *s = head_shapes; s->name; s++) {
		check_shape(s, "F32", 576);
		check_shape(s, s->layer[0].weight ? "BF16" : "F32", 1536); /* bf16 is not orthonormal enough */
	}
	check_shape(shape_named("skywork-prm"), "BF16", 3584);
	check_shape(shape_named("reasoneval"), "BF16", 4096);
}

/* The real one is D = 3584, or 8192; sanitizers make it slow. */
static void a_large_head_is_imported(void **state)
{
	(void)state;
	check_shape(shape_named("qwen-prm"), "BF16", 3584);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_shape_gives_a_reward_worked_by_hand),
		cmocka_unit_test(every_shape_gives_the_reward_of_its_floats),
		cmocka_unit_test(a_large_head_is_imported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
