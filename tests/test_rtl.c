/* SPDX-License-Identifier: Apache-2.0 */
/* What is the RTL twin's own: its cycles, answers of the memory that are errors, and, of all twins, registers and ports. */
#include "check.h"
#include "kernels.h"
#include "launch.h"
#include "rows.h"
#include "rtl_kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLS 151936u

static const struct rtl_pace steady = {.latency_cycles = RTL_LATENCY_CYCLES};

/* Cycles of a launch of rows of one kind. */
static uint64_t run(enum row_kind kind, enum veto_format format, uint32_t rows)
{
	const size_t stride = COLS * sizeof(float);
	char *data = malloc(rows * stride);
	const struct veto_rows sets = {
		.format = format, .rows = rows, .cols = COLS, .stride_bytes = stride, .data = data};

	assert_non_null(data);
	for (uint32_t i = 0; i < rows; i++)
		row_make(kind, format, COLS, i, data + i * stride);
	rtl_kernel_pace(&steady);
	launch_check(&sets, 1, VETO_TOP_MAX, 0, row_kinds[kind]);
	rtl_kernel_pace(NULL);
	free(data);
	return rtl_kernel_cycles();
}

static void a_long_row_takes_little_more_than_its_beats(void **state)
{
	(void)state;
	for (int f = 0; f < VETO_FORMATS; f++) {
		const uint64_t beats = COLS * veto_format_bytes((enum veto_format)f) / 64;
		const uint64_t one = run(ROW_MODEL, (enum veto_format)f, 1);
		const uint64_t two = run(ROW_MODEL, (enum veto_format)f, 2);

		assert_in_range(one, beats, beats * 100 / 95);
		assert_in_range(two - one, beats, beats * 105 / 100);
	}
}

/* Rising rows change the top list with every beat. */
static void cycles_do_not_depend_on_logits(void **state)
{
	const uint64_t cycles = run(ROW_MODEL, VETO_BF16, 2);

	(void)state;
	assert_int_equal(run(ROW_RISING, VETO_BF16, 2), cycles);
	assert_int_equal(run(ROW_BITS, VETO_BF16, 2), cycles);
	assert_int_equal(run(ROW_EMPTY, VETO_BF16, 2), cycles);
}

static void an_error_of_the_memory_ends_in_the_trailer(void **state)
{
	/* Bursts in order: jobs, then rows; and results. */
	static const struct rtl_pace paces[] = {{.failing_reads = 1}, {.failing_reads = 2}, {.failing_reads = 3},
		{.failing_writes = 1}, {.failing_writes = 5}};
	static const float data[2][600];
	const struct veto_rows rows = {.rows = 2, .cols = 600, .stride_bytes = sizeof(*data), .data = data};

	(void)state;
	for (size_t i = 0; i < sizeof(paces) / sizeof(*paces); i++) {
		struct launch l = launch_new(&rows, 1, 0, 0);
		struct veto_trailer trailer;

		rtl_kernel_pace(&paces[i]);
		trailer = launch_run(&l);
		rtl_kernel_pace(NULL);
		assert_int_equal(trailer.error, VETO_KERNEL_BAD_BUS);
		launch_free(&l);
		launch_check(&rows, 1, 0, 0, "behind an error"); /* which is forgotten */
	}
}

static void a_launch_of_too_many_rows_is_refused(void **state)
{
	static struct veto_beat results[5 * (VETO_LAUNCH_ROWS_MAX + 1) + 1] __attribute__((aligned(64)));
	struct launch l = {.results = results, .count = VETO_LAUNCH_ROWS_MAX + 1};

	(void)state;
	l.job = calloc(l.count, sizeof(*l.job));
	assert_int_equal(launch_run(&l).error, VETO_KERNEL_BAD_COUNT);
	free(l.job);
}

/* As drivers poll it: done until that was read. */
static void the_control_register_says_done_once(void **state)
{
	enum { CONTROL = 0, DONE = 2, IDLE = 4, READY = 8 };
	static struct veto_beat trailer __attribute__((aligned(64)));
	struct rtl *rtl = rtl_new(RTL_VETO_SCORE_LOGITS, NULL);

	(void)state;
	assert_non_null(rtl);
	assert_int_equal(rtl_read(rtl, CONTROL), IDLE);
	assert_null(rtl_launch(rtl, (uint64_t[]){0, 0, (uintptr_t)&trailer}, 0));
	assert_int_equal(rtl_read(rtl, CONTROL), DONE | IDLE | READY);
	assert_int_equal(rtl_read(rtl, CONTROL), IDLE);
	rtl_free(rtl);
}

static void registers_are_where_the_description_has_them(void **state)
{
	enum { FIRST = 0x10, END = 0x100 };
	static struct kernels k;

	(void)state;
	assert_int_equal(kernels_read(VETO_TESTS_DIR "/../hls/kernels.json", &k, NULL), 0);
	assert_int_equal(k.count, RTL_KERNELS);
	for (uint32_t kernel = 0; kernel < k.count; kernel++) {
		uint32_t expected[END / 4] = {0};
		struct rtl *rtl = rtl_new((enum rtl_kernel)kernel, NULL);

		assert_non_null(rtl);
		for (uint32_t i = 0; i < k.kernel[kernel].arguments; i++) {
			const struct kernel_argument *a = &k.kernel[kernel].argument[i];

			for (uint32_t at = a->offset; at < a->offset + (a->is_buffer ? 8 : 4); at += 4)
				expected[at / 4] = ~at;
		}
		for (uint32_t at = FIRST; at < END; at += 4)
			rtl_write(rtl, at, ~at);
		for (uint32_t at = FIRST; at < END; at += 4)
			assert_int_equal(rtl_read(rtl, at), expected[at / 4]);
		rtl_free(rtl);
	}
}

/* A text of the source folder, which lives until the next call. */
static const char *source(const char *name)
{
	static char text[1 << 16];
	char path[512];
	size_t bytes;
	FILE *f;

	snprintf(path, sizeof(path), VETO_TESTS_DIR "/../hls/%s", name);
	f = fopen(path, "r");
	assert_non_null(f);
	bytes = fread(text, 1, sizeof(text) - 1, f);
	assert_true(bytes > 0 && bytes < sizeof(text) - 1);
	text[bytes] = 0;
	fclose(f);
	return text;
}

/* Every place where `text` speaks of a port is one of the described ones, and each of those is found. */
static void check_ports(const char *text, const char *before, const char *after, const struct kernel *k)
{
	uint32_t found = 0;

	for (const char *at = strstr(text, before); at; at = strstr(at, before)) {
		uint32_t i = 0;

		at += strlen(before);
		while (i < k->arguments && (strncmp(at, k->argument[i].name, strlen(k->argument[i].name)) != 0 ||
						   !strchr(after, at[strlen(k->argument[i].name)])))
			i++;
		if (i == k->arguments || !k->argument[i].is_buffer)
			fail_msg("not a port in the description: %s%.20s", before, at);
		found |= 1u << i;
	}
	for (uint32_t i = 0; i < k->arguments; i++)
		assert_int_equal(found >> i & 1, k->argument[i].is_buffer);
}

static void ports_are_those_of_the_description(void **state)
{
	static struct kernels k;

	(void)state;
	assert_int_equal(kernels_read(VETO_TESTS_DIR "/../hls/kernels.json", &k, NULL), 0);
	check_ports(source("rtl/veto_score_logits.v"), "m_axi_", "_", &k.kernel[RTL_VETO_SCORE_LOGITS]);
	check_ports(source("rtl/veto_score_hidden.v"), "m_axi_", "_", &k.kernel[RTL_VETO_SCORE_HIDDEN]);
	check_ports(source("score_logits.c"), "bundle = ", " \n", &k.kernel[RTL_VETO_SCORE_LOGITS]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_row_takes_little_more_than_its_beats),
		cmocka_unit_test(cycles_do_not_depend_on_logits),
		cmocka_unit_test(an_error_of_the_memory_ends_in_the_trailer),
		cmocka_unit_test(a_launch_of_too_many_rows_is_refused),
		cmocka_unit_test(the_control_register_says_done_once),
		cmocka_unit_test(registers_are_where_the_description_has_them),
		cmocka_unit_test(ports_are_those_of_the_description),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
