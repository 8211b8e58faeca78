/* SPDX-License-Identifier: Apache-2.0 */
/* How differences between devices are printed. */
#include "check.h"
#include "score_print.h"

#include <stdlib.h>
#include <string.h>

struct found {
	struct veto_score score;
	struct veto_record record;
	uint32_t top_id[2], subset_q31[1];
};

static unsigned print(bool is_json, const struct found *a, const struct found *b, char **text)
{
	const struct veto_rows rows = {.rows = 1, .cols = 9, .top_k = 2, .subset_tokens = 1};
	struct scored_row x = {&rows, 7, &a->score, &a->record, a->top_id, a->subset_q31, NULL, NULL};
	struct scored_row y = {&rows, 7, &b->score, &b->record, b->top_id, b->subset_q31, NULL, NULL};
	size_t bytes;
	FILE *out = open_memstream(text, &bytes);
	unsigned count;

	assert_non_null(out);
	count = score_print_differences(out, is_json, &x, "cpu:a", &y, "cpu:b");
	fclose(out);
	return count;
}

static void equal_rows_print_nothing(void **state)
{
	struct found a = {.record = {.cnt = 3}};
	char *text;

	(void)state;
	assert_int_equal(print(false, &a, &a, &text), 0);
	assert_string_equal(text, "");
	free(text);
}

static void every_difference_is_a_line(void **state)
{
	struct found a = {.score = {.has = 1u << VETO_ENTROPY}, .record = {.s = 1}, .top_id = {1, 2}}, b = a;
	char *text;

	(void)state;
	b.record.s = 2;
	b.top_id[1] = 3;
	b.subset_q31[0] = 5;
	b.score.field[VETO_ENTROPY].low = -4;
	b.score.field[VETO_LSE].low = 9; /* neither has it */
	assert_int_equal(print(false, &a, &b, &text), 4);
	assert_string_equal(text, "difference: row 7 s: 1 (cpu:a), 2 (cpu:b)\n"
				  "difference: row 7 entropy: 0 (cpu:a), -4 (cpu:b)\n"
				  "difference: row 7 top_ids[1]: 2 (cpu:a), 3 (cpu:b)\n"
				  "difference: row 7 subset_q31[0]: 0 (cpu:a), 5 (cpu:b)\n");
	free(text);
}

static void differences_are_json_where_scores_are(void **state)
{
	struct found a = {.record = {.cnt = 1}}, b = {.record = {.cnt = 2}};
	char *text;

	(void)state;
	assert_int_equal(print(true, &a, &b, &text), 1);
	assert_string_equal(text,
		"{\"difference\":{\"row\":7,\"field\":\"cnt\",\"values\":[{\"device\":\"cpu:a\",\"value\":1},"
		"{\"device\":\"cpu:b\",\"value\":2}]}}\n");
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_rows_print_nothing),
		cmocka_unit_test(every_difference_is_a_line),
		cmocka_unit_test(differences_are_json_where_scores_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
