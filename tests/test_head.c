/* SPDX-License-Identifier: Apache-2.0 */
/* Head files: what is wrong with one is said; rewards of steps become one. */
#include "check.h"
#include "heads.h"
#include "rows.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct head_texts plain = {"probe", "sigmoid", "last", "final_norm", "any", "", NULL};

/* --- Aggregation, worked by hand --- */

static double aggregate(enum head_aggregation aggregation, enum head_output output, const int32_t *z, uint32_t steps)
{
	struct veto_head head = {.output = output, .aggregation = aggregation, .info.outputs = 1};
	struct head_steps sofar = {0};
	int64_t value = 0;

	for (uint32_t i = 0; i < steps; i++)
		value = head_add_step(&head, &sofar, &z[i]);
	return (double)value / 0x1p31;
}

/* Sigmoids of 0, log 3 and -log 3 are 1/2, 3/4 and 1/4. */
static void steps_are_aggregated_in_their_order(void **state)
{
	static const int32_t z[] = {0, 71999, -71999}, raw[] = {65536, -32768, 131072};

	(void)state;
	assert_true(fabs(aggregate(HEAD_LAST, HEAD_SIGMOID, z, 3) - 0.25) < 1e-4);
	assert_true(fabs(aggregate(HEAD_MEAN, HEAD_SIGMOID, z, 3) - 0.5) < 1e-4);
	assert_true(fabs(aggregate(HEAD_PRODUCT, HEAD_SIGMOID, z, 3) - 3.0 / 32) < 1e-4);
	assert_true(fabs(aggregate(HEAD_MIN, HEAD_SIGMOID, z, 2) - 0.5) < 1e-4);
	assert_true(fabs(aggregate(HEAD_MIN, HEAD_SIGMOID, z, 3) - 0.25) < 1e-4);
	assert_true(fabs(aggregate(HEAD_GEOMETRIC_MEAN, HEAD_SIGMOID, z, 3) - cbrt(3.0 / 32)) < 1e-4);
	assert_true(fabs(aggregate(HEAD_MAX_POOL, HEAD_SIGMOID, z, 3) - 0.75) < 1e-4);
	assert_true(aggregate(HEAD_MEAN, HEAD_RAW, raw, 2) == 0.25);
	assert_true(aggregate(HEAD_MIN, HEAD_RAW, raw, 3) == -0.5);
	assert_true(aggregate(HEAD_LAST, HEAD_RAW, raw, 3) == 2);
	assert_true(aggregate(HEAD_PRODUCT, HEAD_SIGMOID, z, 1) == aggregate(HEAD_LAST, HEAD_SIGMOID, z, 1));
}

static void pools_take_the_largest_of_each_output(void **state)
{
	static const int32_t z[2][2] = {{65536, 0}, {0, 131072}};
	struct veto_head head = {
		.output = HEAD_SOFTMAX, .classes = 1, .class = {1}, .aggregation = HEAD_MAX_POOL, .info.outputs = 2};
	struct head_steps steps = {0};

	(void)state;
	assert_true(fabs((double)head_add_step(&head, &steps, z[0]) / 0x1p31 - 1 / (1 + exp(1))) < 1e-4);
	assert_true(fabs((double)head_add_step(&head, &steps, z[1]) / 0x1p31 - 1 / (1 + exp(-1))) < 1e-4); /* 1 and 2 */
}

/* --- What is wrong --- */

static char *file;
static size_t file_bytes;

static void read_whole(const char *path)
{
	struct map map;

	assert_int_equal(map_open(path, &map, NULL), 0);
	file = malloc(map.bytes);
	assert_non_null(file);
	memcpy(file, map.data, map.bytes);
	file_bytes = map.bytes;
	map_close(&map);
}

/* A small head whose file lies in memory. */
static void make_small(const struct head_texts *texts, const char *type, uint32_t rows)
{
	static float w[64], b[64];
	const struct tensor weight = {.name = "w", .type = "F32", .dims = 2, .shape = {rows, 2}, .data = w};
	const struct tensor bias = {.name = "b", .type = "F32", .dims = 1, .shape = {rows}, .data = b};
	const struct head_source source = {&weight, &bias};
	char path[] = "/tmp/veto_small.XXXXXX", why[VETO_WHY_MAX];

	for (int i = 0; i < 64; i++)
		w[i] = (float)(i % 7 - 3);
	close(mkstemp(path));
	if (head_make_dense(path, texts, &source, 1, *type == '8' ? VETO_INT8 : VETO_INT16, why))
		fail_msg("%s", why);
	free(file);
	read_whole(path);
	unlink(path);
}

static void any_flipped_bit_and_any_cut_is_refused(void **state)
{
	struct veto_head head;
	char why[VETO_WHY_MAX];

	(void)state;
	make_small(&plain, "16", 1);
	assert_int_equal(head_parse(file, file_bytes, "small", &head, why), 0);
	head_clear(&head);
	for (size_t i = 0; i < file_bytes; i++) {
		file[i] ^= (char)(1 << i % 8);
		if (head_parse(file, file_bytes, "small", &head, why) != -EINVAL || strncmp(why, "small: ", 7) != 0)
			fail_msg("byte %zu: '%s'", i, why);
		file[i] ^= (char)(1 << i % 8);
	}
	for (size_t i = 0; i < file_bytes; i++) {
		char *cut = malloc(i ? i : 1);

		memcpy(cut, file, i);
		assert_int_equal(head_parse(cut, i, "small", &head, why), -EINVAL);
		free(cut);
	}
}

/* The file with a text replaced by one of its length, and the checksum made right. */
static void refuse(const char *from, const char *to, const char *message)
{
	char *at = memmem(file, file_bytes, from, strlen(from)), *sum, before[SHA256_HEX], why[VETO_WHY_MAX];
	struct veto_head head;

	assert_non_null(at);
	assert_int_equal(strlen(from), strlen(to));
	memcpy(at, to, strlen(to));
	sum = (char *)memmem(file, file_bytes, "\"sha256\":\"", 10) + 10;
	memcpy(before, sum, SHA256_HEX - 1);
	char hex[SHA256_HEX];

	assert_int_equal(head_checksum(file, file_bytes, (size_t)(sum - file), hex), 0);
	memcpy(sum, hex, SHA256_HEX - 1);
	if (head_parse(file, file_bytes, "small", &head, why) != -EINVAL || !strstr(why, message))
		fail_msg("'%s' lacks '%s'", why, message);
	memcpy(sum, before, SHA256_HEX - 1);
	memcpy(at, from, strlen(from));
}

static void what_does_not_fit_is_said(void **state)
{
	(void)state;
	make_small(&plain, "16", 1);
	refuse("\"veto_head\":\"1\"", "\"veto_head\":\"2\"", "\"veto_head\" is \"2\", and this library reads \"1\"");
	refuse("HX1 1", "HX1 7", "\"arithmetic\" is \"HX1 7\", and this library reads \"HX1 1\"");
	refuse("\"sigmoid\"", "\"sigmund\"", "unknown output \"sigmund\" of a head with 1 outputs");
	refuse("\"last\"", "\"lost\"", "unknown aggregation \"lost\"");
	refuse("\"tap\"", "\"top\"", "its metadata has no \"tap\"");
	refuse("layer.0.mant", "layer.0.ment", "there is no tensor \"layer.0.mant\"");
	refuse("\"dtype\":\"U16\"", "\"dtype\":\"I16\"", "\"layer.0.mant\" is I16 of 1 dimensions, expected U16 of 1");
	refuse("\"shape\":[1,2]", "\"shape\":[2,1]", "\"layer.0.mant\" has 1 in dimension 0, expected 2");
	make_small(&(struct head_texts){"token-prm", "softmax:1", "min", "final_norm", "any", "", NULL}, "16", 2);
	refuse("softmax:1", "softmax:2", "unknown output \"softmax:2\" of a head with 2 outputs");
	refuse("softmax:1", "softmax:-", "unknown output");
}

static void numbers_that_no_weights_have_are_refused(void **state)
{
	static const char mant[] = {0, 127}, least[] = {0, -128};
	char *weight;

	(void)state;
	make_small(&plain, "16", 1);
	weight = file + file_bytes - 4; /* two weights of 16 bits, behind sh and mant, behind the bias */
	memcpy(weight, least, 2);
	refuse("final_norm", "final_norm", "has a weight of -32768");
	make_small(&plain, "16", 1);
	weight = file + file_bytes - 4;
	memcpy(weight - 4, mant, 2);
	refuse("final_norm", "final_norm", "which no weights have");
}

/* A row whose largest weight lies just below a power of two has them. */
static void tables_hold_all_that_their_rows_are_made_of(void **state)
{
	static const struct head_texts texts = {"sch", "self-certainty", "mean", "final_norm", "any", "", NULL};
	const double u[] = {-0x1.fffffep0, 0x1.fffffep0};
	char path[] = "/tmp/veto_table.XXXXXX", why[VETO_WHY_MAX];
	const int32_t c = 0;
	int16_t hi[2], f;
	uint8_t lo[2];
	uint32_t bad;

	(void)state;
	close(mkstemp(path));
	assert_int_equal(hx1_make_table_row(u, 2, hi, lo, &f, &bad), 0);
	assert_int_equal(256 * hi[0] + lo[0], -(1 << 23) + 1);
	assert_int_equal(256 * hi[1] + lo[1], (1 << 23) - 1);
	if (head_make_table(path, &texts, 1, 2, hi, lo, &f, &c, why))
		fail_msg("%s", why);
	lo[0] = 0;
	assert_int_equal(head_make_table(path, &texts, 1, 2, hi, lo, &f, &c, why), -EINVAL);
	assert_non_null(strstr(why, "\"table.hi\" and \"table.lo\" have a weight of -2^23"));
	assert_int_equal(hx1_make_table_row(u, 2, hi, NULL, &f, &bad), 0);
	if (head_make_table(path, &texts, 1, 2, hi, NULL, &f, &c, why))
		fail_msg("%s", why);
	hi[0] = INT16_MIN;
	assert_int_equal(head_make_table(path, &texts, 1, 2, hi, NULL, &f, &c, why), -EINVAL);
	assert_non_null(strstr(why, "\"table.hi\" has a weight of -32768"));
	unlink(path);
}

static void weights_that_are_no_numbers_are_named(void **state)
{
	static float w[2][3] = {{1, 2, 3}, {4, NAN, 6}}, b[2] = {0, 40000};
	const struct tensor weight = {.name = "w", .type = "F32", .dims = 2, .shape = {2, 3}, .data = w};
	const struct tensor bias = {.name = "b", .type = "F32", .dims = 1, .shape = {2}, .data = b};
	const struct head_source source = {&weight, &bias};
	const struct head_texts texts = {"token-prm", "softmax:1", "min", "final_norm", "any", "", NULL};
	char why[VETO_WHY_MAX];

	(void)state;
	assert_int_equal(head_make_dense("/tmp/veto_never", &texts, &source, 1, VETO_INT16, why), -EINVAL);
	assert_string_equal(why, "\"w\" [1, 1] is nan");
	w[1][1] = 5;
	assert_int_equal(head_make_dense("/tmp/veto_never", &texts, &source, 1, VETO_INT16, why), -EINVAL);
	assert_string_equal(why, "\"b\" [1] is 40000, out of range");
	b[1] = 0;
	w[0][0] = w[0][1] = w[0][2] = 1e30f;
	assert_int_equal(head_make_dense("/tmp/veto_never", &texts, &source, 1, VETO_INT16, why), -EINVAL);
	assert_string_equal(why, "\"w\" row 0: its weights are out of range");
	w[0][0] = w[0][1] = w[0][2] = 1;
	assert_int_equal(head_make_dense("/nowhere/head", &texts, &source, 1, VETO_INT16, why), -ENOENT);
	assert_int_equal(access("/tmp/veto_never", F_OK), -1);
	assert_int_equal(access("/tmp/veto_never.partial", F_OK), -1);
}

static void rows_that_are_not_orthonormal_span_no_subspace(void **state)
{
	static float w[2][2] = {{1, 0}, {0.01f, 1}};
	const struct tensor weight = {.name = "u", .type = "F32", .dims = 2, .shape = {2, 2}, .data = w};
	const struct head_source source = {&weight, NULL};
	const struct head_texts texts = {"subspace", "distance", "min", "final_norm", "any", "", NULL};
	char why[VETO_WHY_MAX];

	(void)state;
	assert_int_equal(head_make_dense("/tmp/veto_never", &texts, &source, 1, VETO_INT16, why), -EINVAL);
	assert_non_null(strstr(why, "rows 0 and 1 are not orthonormal: their product is 0.01"));
}

static void shapes_that_do_not_fit_are_refused(void **state)
{
	static float w[3 * 4];
	const struct tensor tensor[] = {{.name = "score.weight", .type = "F32", .dims = 2, .shape = {3, 4}, .data = w},
		{.name = "v_head.summary.weight", .type = "I32", .dims = 2, .shape = {1, 4}, .data = w}};
	const struct safetensors st = {.tensor = (struct tensor *)tensor, .tensors = 2};
	static const char *const cases[][2] = {{"token-prm", "\"score.weight\" is 3 x 4; token-prm has 2 x 4 there"},
		{"qwen-prm", "qwen-prm needs a tensor \"score.0.weight\", and there is none"},
		{"skywork-prm", "\"v_head.summary.weight\" is of type I32; F32, F16, BF16 and F64 are read"},
		{"subspace", "there are 2 tensors, and subspace is one"},
		{"gpt", "unknown shape 'gpt'; known: qwen-prm, qwen-rm, skywork-prm, reasoneval, token-prm, sprm, probe, coderl, "
			"subspace"}};
	const struct head_shape *shape;
	struct head_source source[VETO_HEAD_LAYERS_MAX];
	char why[VETO_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(head_shape_find(cases[i][0], &st, &shape, source, why), -EINVAL);
		assert_string_equal(why, cases[i][1]);
	}
}

static void log_probabilities_that_are_none_become_none(void **state)
{
	(void)state;
	assert_int_equal(veto_logp_q20(-1), -(1 << 20));
	assert_int_equal(veto_logp_q20(0.001), 0);
	assert_int_equal(veto_logp_q20(-1024), -(1LL << 30));
	assert_int_equal(veto_logp_q20(0.0011), VETO_NO_LOGP);
	assert_int_equal(veto_logp_q20(NAN), VETO_NO_LOGP);
	assert_int_equal(veto_logp_q20(-9999), VETO_NO_LOGP);
	assert_int_equal(veto_logp_q20(-3.4028234663852886e38), VETO_NO_LOGP);
}

/* FX1 never limits its log-probabilities, so those of likely tokens may be a few units above 0. */
static void log_probabilities_a_little_above_0_count_as_they_are(void **state)
{
	static const int64_t logp[] = {0, 13, 1048, 1049, -(1LL << 30), -(1LL << 30) - 1, VETO_NO_LOGP, INT64_MAX};
	struct veto_head *table = table_new(3, 4, true, 1);
	const float x[4] = {1, -2, 0.5F, 3};
	const uint32_t token = 1;
	int64_t first = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(logp) / sizeof(*logp); i++) {
		const struct veto_rows rows = {.kind = VETO_HIDDEN,
			.rows = 1,
			.cols = 4,
			.stride_bytes = sizeof(x),
			.data = x,
			.token = &token,
			.token_logp_q20 = &logp[i]};
		int32_t q[8];
		struct head_result result;
		struct veto_score score;

		head_score(table, &rows, 0, q, q + 4, &result);
		head_finish(table, &rows, 0, &result, &score, NULL);
		assert_int_equal(score.has, i < 3 || i == 4 ? 1u << VETO_SELF_CERTAINTY : 0);
		if (i == 0)
			first = score.field[VETO_SELF_CERTAINTY].low;
		else if (score.has)
			assert_int_equal(score.field[VETO_SELF_CERTAINTY].low, first - logp[i]);
	}
	veto_head_close(table);
}

static int end(void **state)
{
	(void)state;
	free(file);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_are_aggregated_in_their_order),
		cmocka_unit_test(pools_take_the_largest_of_each_output),
		cmocka_unit_test(any_flipped_bit_and_any_cut_is_refused),
		cmocka_unit_test(what_does_not_fit_is_said),
		cmocka_unit_test(numbers_that_no_weights_have_are_refused),
		cmocka_unit_test(tables_hold_all_that_their_rows_are_made_of),
		cmocka_unit_test(weights_that_are_no_numbers_are_named),
		cmocka_unit_test(rows_that_are_not_orthonormal_span_no_subspace),
		cmocka_unit_test(shapes_that_do_not_fit_are_refused),
		cmocka_unit_test(log_probabilities_that_are_none_become_none),
		cmocka_unit_test(log_probabilities_a_little_above_0_count_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
