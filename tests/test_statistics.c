/* SPDX-License-Identifier: Apache-2.0 */
/* Heads that count on statistics of token scores: made, read, and refused. */
#include "check.h"
#include "head_make.h"
#include "rows.h"
#include "sha256.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct head_texts texts = {"probe", "sigmoid", "last", "final_norm", "any", "", NULL};
static const struct statistic some[] = {
	{STATISTIC_MIN, VETO_TOKEN_LOGP}, {STATISTIC_STEP_MEAN, VETO_ENTROPY}, {STATISTIC_STEPS, 0}};
static const double some_weights[] = {2, -0.5, 1.25};
static const struct head_statistics statistics = {some, some_weights, 3, -0.75};

static char *file;
static size_t file_bytes;

/* A head's file into memory; cols 0: of statistics alone. */
static void make_file(uint32_t cols)
{
	static float w[4] = {1, -2, 3, -4};
	const struct tensor weight = {.name = "w", .type = "F32", .dims = 2, .shape = {1, cols}, .data = w};
	const struct head_source source = {&weight, NULL};
	char path[] = "/tmp/veto_statistics.XXXXXX", why[VETO_WHY_MAX];
	struct map map = {0};

	close(mkstemp(path));
	if (head_make_fused(path, &texts, &source, cols ? 1 : 0, VETO_INT16, &statistics, why) ||
		map_open(path, &map, why)) {
		fail_msg("%s", why);
		return;
	}
	free(file);
	file = malloc(map.bytes + 1);
	assert_non_null(file);
	memcpy(file, map.data, map.bytes);
	file_bytes = map.bytes;
	map_close(&map);
	unlink(path);
}

static struct veto_head parse(void)
{
	struct veto_head head;
	char why[VETO_WHY_MAX];

	if (head_parse(file, file_bytes, "made", &head, why))
		fail_msg("%s", why);
	return head;
}

static void add(struct statistics *all, double logp, double entropy, bool ends_step)
{
	struct veto_score score = {.has = 1u << VETO_TOKEN_LOGP | 1u << VETO_ENTROPY};
	const int64_t l = llrint(logp * 0x1p20), h = llrint(entropy * 0x1p20);

	score.field[VETO_TOKEN_LOGP] = (struct veto_interval){l, l};
	score.field[VETO_ENTROPY] = (struct veto_interval){h, h};
	statistics_add(all, &score, ends_step);
}

/* In double: entropy is negated, a count divided by 64. */
static void the_integers_are_those_of_the_weights(void **state)
{
	struct statistics all = {.tokens = 0};
	struct veto_head head;
	int32_t z = 65536; /* of a state */

	(void)state;
	make_file(0);
	head = parse();
	assert_int_equal(head.info.layers, 0);
	assert_int_equal(head.info.cols, 0);
	assert_int_equal(head.info.statistics, 3);
	assert_int_equal(head_reads_fields(&head), 1u << VETO_TOKEN_LOGP | 1u << VETO_ENTROPY);
	assert_false(head_add_statistics(&head, &all, &z));
	assert_int_equal(z, 65536);
	add(&all, -0.25, 3, true);
	add(&all, -1.5, 1, false);
	add(&all, -0.5, 2, false);
	assert_true(head_add_statistics(&head, &all, &z));
	assert_in_range(llabs(z - llrint(65536 * (1 + 2 * -1.5 - 0.5 * -1.5 + 1.25 * 2 / 64 - 0.75))), 0, 8);
	head_clear(&head);
}

static void states_and_statistics_go_together(void **state)
{
	struct statistics all = {.tokens = 0};
	const float x[] = {0.5F, 0.25F, 1, 2};
	const struct veto_rows rows = {.kind = VETO_HIDDEN, .rows = 1, .cols = 4, .stride_bytes = sizeof(x), .data = x};
	int32_t q[4], z[4], q16;
	struct head_result result;
	struct veto_score score;
	struct veto_head head;

	(void)state;
	make_file(4);
	head = parse();
	assert_int_equal(head.info.cols, 4);
	add(&all, -1, 2, true);
	head_score(&head, &rows, 0, q, z, &result);
	head_finish(&head, &rows, 0, &result, &score, &q16);
	assert_int_equal(score.has, 0);
	assert_true(head_add_statistics(&head, &all, &q16));
	assert_in_range(llabs(q16 - llrint(65536 * (0.5 - 0.5 + 3 - 8 - 2 + 1 + 1.25 / 64 - 0.75))), 0, 32);
	head_clear(&head);
}

/* What reads heads without statistics must not take one with them for less than it is. */
static void such_a_head_says_so(void **state)
{
	(void)state;
	make_file(4);
	assert_non_null(memmem(file, file_bytes, "\"arithmetic\":\"HX1 1, TS1 1\"", 27));
	assert_non_null(memmem(file, file_bytes, "\"min:token_logp+step-mean:entropy+steps\"", 39));
}

/* The file with a text replaced by one of its length, and the checksum made right. */
static void refuse(const char *from, const char *to, const char *message)
{
	char *at = memmem(file, file_bytes, from, strlen(from)), *sum, hex[SHA256_HEX], why[VETO_WHY_MAX];
	struct veto_head head;

	assert_non_null(at);
	assert_int_equal(strlen(from), strlen(to));
	memcpy(at, to, strlen(to));
	sum = (char *)memmem(file, file_bytes, "\"sha256\":\"", 10) + 10;
	assert_int_equal(head_checksum(file, file_bytes, (size_t)(sum - file), hex), 0);
	memcpy(sum, hex, SHA256_HEX - 1);
	if (head_parse(file, file_bytes, "made", &head, why) != -EINVAL || !strstr(why, message))
		fail_msg("'%s' lacks '%s'", why, message);
	memcpy(at, from, strlen(from));
}

static void what_does_not_fit_is_said(void **state)
{
	static const char least[] = {0, -128}, mant[] = {0, 127};
	char *bytes;

	(void)state;
	make_file(4);
	refuse("TS1 1", "TS1 2", "\"arithmetic\" is \"HX1 1, TS1 2\", and this library reads \"HX1 1, TS1 1\"");
	refuse("\"statistics\":", "\"satisticts\":",
		"\"arithmetic\" is \"HX1 1, TS1 1\", and this library reads \"HX1 1\"");
	refuse("min:token_logp", "mim:token_logp", "unknown statistic \"mim:token_logp\"");
	refuse("step-mean:entropy", "step-mean:reward_", "unknown statistic \"step-mean:reward_\"");
	refuse("+steps\"", "+step-\"", "unknown statistic \"step-\"");
	refuse("+steps\"", "+++++s\"", "unknown statistic \"\"");
	refuse("min:token_logp+step-mean:entropy", "step-mean:entropy+mean:entropyyy",
		"unknown statistic \"mean:entropyyy\"");
	refuse("\"statistics.weight\"", "\"statistics.waigth\"", "there is no tensor \"statistics.weight\"");
	refuse("\"sigmoid\",", "\"raw\",    ", "there are statistics for no output \"raw\"");
	make_file(0);
	bytes = file + file_bytes - 6; /* three weights of 16 bits, behind sh and mant */
	memcpy(bytes, least, 2);
	refuse("TS1 1", "TS1 1", "\"statistics.weight\" has a weight of -32768");
	make_file(0);
	memcpy(file + file_bytes - 10, mant, 2);
	refuse("TS1 1", "TS1 1", "\"statistics\" row 0 has mant 32512");
}

/* The names, which have no fixed length, take a file of their own each. */
static void statistics_are_different_and_not_too_many(void **state)
{
	struct statistic same[STATISTICS_MAX];
	double weights[STATISTICS_MAX] = {1};
	const struct head_statistics twice = {same, weights, 2, 0}, far = {same, weights, 1, 1e9};
	char why[VETO_WHY_MAX];

	(void)state;
	for (int i = 0; i < STATISTICS_MAX; i++)
		same[i] = (struct statistic){STATISTIC_MIN, VETO_MARGIN};
	assert_int_equal(head_make_fused("/tmp/veto_never", &texts, NULL, 0, VETO_INT16, &twice, why), -EINVAL);
	assert_non_null(strstr(why, "the statistic \"min:margin\" stands there twice"));
	assert_int_equal(head_make_fused("/tmp/veto_never", &texts, NULL, 0, VETO_INT16, &far, why), -EINVAL);
	assert_string_equal(why, "the weights of the statistics, or 1e+09 beside them, are out of range");
	weights[0] = NAN;
	assert_int_equal(head_make_fused("/tmp/veto_never", &texts, NULL, 0, VETO_INT16, &twice, why), -EINVAL);
	assert_string_equal(why, "the weight of min:margin is nan");
	assert_int_equal(access("/tmp/veto_never", F_OK), -1);
}

static void every_name_is_found_again(void **state)
{
	char name[STATISTIC_NAME_MAX];
	uint32_t names = 0;

	(void)state;
	for (int kind = 0; kind < STATISTIC_KINDS; kind++)
		for (uint32_t field = 0; field < VETO_FIELDS; field++) {
			const bool is_one = STATISTIC_OF_A_SCORE(kind) ? statistics_fields() >> field & 1 : field == 0;
			struct statistic found, s = {(enum statistic_kind)kind, field};

			if (!is_one)
				continue;
			statistic_name(s, name);
			assert_int_equal(statistic_find(name, strlen(name), &found), 0);
			assert_int_equal(found.kind, s.kind);
			assert_int_equal(found.field, s.field);
			assert_int_equal(statistic_find(name, strlen(name) - 1, &found), -EINVAL);
			names++;
		}
	assert_int_equal(names, 4 * STATISTICS_FIELDS + 3);
}

static void streams_lack_what_they_are_not_asked_for(void **state)
{
	static const struct statistic confidence = {STATISTIC_MEAN, VETO_TOPK_CONFIDENCE};
	static const double weight = 1;
	const struct head_statistics one = {&confidence, &weight, 1, 0};
	char path[] = "/tmp/veto_statistics.XXXXXX", why[VETO_WHY_MAX];
	struct veto_stream_info info = {.candidates = 1, .max_tokens = 4, .vocab = 8, .tap = "layer:-2"};
	struct veto_head *head;
	struct veto_verifier *v;
	struct veto_stream *s;

	(void)state;
	close(mkstemp(path));
	assert_int_equal(head_make_fused(path, &texts, NULL, 0, VETO_INT16, &one, why), 0);
	assert_int_equal(veto_head_open(path, &head, why), 0);
	assert_int_equal(veto_verifier_open("cpu:", &v, why), 0);
	info.head = head;
	assert_int_equal(veto_stream_open(v, &info, &s, why), -EINVAL);
	assert_string_equal(why, "the head probe counts on topk_confidence: a top_k is needed");
	info.top_k = 3;
	assert_int_equal(veto_stream_open(v, &info, &s, why), 0); /* and whose states they are does not matter */
	veto_stream_close(s);
	veto_verifier_close(v);
	veto_head_close(head);
	unlink(path);
}

static void devices_take_no_head_without_states(void **state)
{
	struct veto_device *dev;
	struct veto_head head;
	char why[VETO_WHY_MAX];
	uint32_t slot;

	(void)state;
	make_file(0);
	head = parse();
	assert_int_equal(veto_device_open("cpu:", &dev, why), 0);
	assert_int_equal(veto_device_load(dev, &head, &slot, why), -EOPNOTSUPP);
	assert_string_equal(why, "the head reads no hidden states");
	veto_device_close(dev);
	head_clear(&head);
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
		cmocka_unit_test(the_integers_are_those_of_the_weights),
		cmocka_unit_test(states_and_statistics_go_together),
		cmocka_unit_test(such_a_head_says_so),
		cmocka_unit_test(what_does_not_fit_is_said),
		cmocka_unit_test(statistics_are_different_and_not_too_many),
		cmocka_unit_test(every_name_is_found_again),
		cmocka_unit_test(streams_lack_what_they_are_not_asked_for),
		cmocka_unit_test(devices_take_no_head_without_states),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
