/* SPDX-License-Identifier: Apache-2.0 */
/* The writer of reports, and its plots. */
#include "check.h"
#include "cli.h"
#include "plot.h"
#include "report.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the writer says, in place of a program. */
static char said[1024];

void say(const char *command, const char *format, ...)
{
	va_list arguments;

	(void)command;
	va_start(arguments, format);
	vsnprintf(said, sizeof(said), format, arguments);
	va_end(arguments);
}

static char *text;
static size_t bytes;

static FILE *start(void)
{
	free(text);
	text = NULL;
	return open_memstream(&text, &bytes);
}

static int finish(void **state)
{
	(void)state;
	free(text);
	text = NULL;
	return 0;
}

static void check_text(const char *in, const char *want)
{
	FILE *out = start();

	report_text(out, in);
	fclose(out);
	assert_string_equal(text, want);
}

static void what_html_reads_otherwise_is_escaped(void **state)
{
	(void)state;
	check_text("a<b>&\"c\" 'd' &lt;", "a&lt;b&gt;&amp;&quot;c&quot; 'd' &amp;lt;");
	check_text("", "");
	check_text("one\ttwo\nthree\r", "one two three\xef\xbf\xbd");
	check_text("\xc3\xbc \xe6\x95\xb0 \xf0\x9f\x98\x80", "\xc3\xbc \xe6\x95\xb0 \xf0\x9f\x98\x80");
}

static void what_is_no_text_is_replaced(void **state)
{
	(void)state;
	check_text("a\x80z\xc3", "a\xef\xbf\xbdz\xef\xbf\xbd");
	check_text("\x01\x7f", "\xef\xbf\xbd\xef\xbf\xbd");
	check_text("\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd");
	check_text("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

static void cells_are_escaped_and_may_break_after_commas(void **state)
{
	struct report r = {.out = start()};

	(void)state;
	report_row_begin(&r);
	report_cell(&r, "%s", "a<b,c");
	report_number(&r, "%.1f", 1.25);
	report_row_end(&r);
	fclose(r.out);
	assert_string_equal(
		text, "<tr><th class=\"t\" scope=\"row\">a&lt;b,<wbr>c</th><td class=\"n\">1.2</td></tr>\n");
}

/* That the folder holds this file and no other; NULL: none. */
static void check_files(const char *folder, const char *want)
{
	DIR *list = opendir(folder);
	const struct dirent *entry;
	uint32_t files = 0;

	assert_non_null(list);
	while ((entry = readdir(list))) {
		if (entry->d_name[0] == '.')
			continue;
		files++;
		assert_non_null(want);
		assert_string_equal(entry->d_name, want);
	}
	closedir(list);
	assert_int_equal(files, want != NULL);
}

static void a_report_is_there_when_it_is_whole(void **state)
{
	char folder[] = "/tmp/veto-report-XXXXXX", path[64];
	struct report r;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/r.html", folder);
	assert_int_equal(report_open("test", path, &r), EXIT_DONE);
	report_begin(&r, "half");
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(report_close("test", &r, false), EXIT_DONE);
	check_files(folder, NULL);
	assert_int_equal(report_open("test", path, &r), EXIT_DONE);
	report_begin(&r, "whole");
	report_end(&r);
	assert_int_equal(report_close("test", &r, true), EXIT_DONE);
	check_files(folder, "r.html");
	assert_int_equal(report_close("test", &r, true), EXIT_DONE);
	unlink(path);
	rmdir(folder);
}

/* --- Plots --- */

/* The numbers behind an attribute's name lie within the plot, whatever was drawn. */
static void check_numbers(double most)
{
	assert_null(strstr(text, "nan"));
	assert_null(strstr(text, "inf"));
	for (const char *at = text; (at = strstr(at, " d=\"M")); at++) {
		const double x = strtod(at + strlen(" d=\"M"), NULL);

		assert_true(x >= 0 && x <= most);
	}
}

static void draw(struct plot_axis x, struct plot_axis y, double a, double b)
{
	struct plot_entry entry = {"an entry", 1, PLOT_BOX, true, PLOT_DOTTED};
	struct plot p;
	int lines = 0;

	plot_begin(&p, start(), 400, 300, "title", x, y, &entry, 1);
	plot_line(&p, (double[]){a, b, a}, (double[]){b, a, NAN}, 3, 0, PLOT_SOLID);
	plot_level(&p, b, "level", 2, PLOT_DASHED);
	plot_band(&p, (double[]){a, b}, (double[]){a, a}, (double[]){b, b}, 2, 3);
	plot_whiskers(&p, a, a, b, b, NAN, NAN, 4);
	plot_marker(&p, a, b, 5, PLOT_DISC, "tip");
	plot_marker(&p, NAN, b, 5, PLOT_DISC, "not there");
	plot_word(&p, a, b, "word");
	plot_end(&p);
	fclose(p.out);
	assert_non_null(strstr(text, ">tip<"));
	assert_null(strstr(text, "not there"));
	check_numbers(400);
	for (const char *at = text; (at = strstr(at, "\"grid\"")); at++)
		lines++;
	assert_in_range(lines, 4, 16); /* of two axes */
}

static void whatever_the_values_a_plot_holds_them(void **state)
{
	static const double values[] = {0, 1, -1, 0.5, 1e-12, 1e9, -3e7, 1.0000001};
	const size_t count = sizeof(values) / sizeof(*values);

	(void)state;
	for (size_t i = 0; i < count * count; i++) {
		const double a = values[i / count], b = values[i % count];
		struct plot_axis empty = {"nothing", 1, 0, false, false}, axis = empty;

		plot_include(&axis, a);
		plot_include(&axis, b);
		plot_include(&axis, NAN);
		draw(axis, axis, a, b);
		draw(empty, axis, a, b);
		axis.has_zero = true;
		draw(axis, empty, a, b);
	}
}

static void ticks_are_round_and_shares_are_percent(void **state)
{
	const struct plot_axis x = {"tokens", 0, 100, false, true}, y = {"share (%)", 0, 1, true, true};
	struct plot p;

	(void)state;
	plot_begin(&p, start(), 400, 300, "t", x, y, NULL, 0);
	plot_end(&p);
	fclose(p.out);
	for (int tick = 0; tick <= 100; tick += 20) {
		char want[32];

		snprintf(want, sizeof(want), ">%d</text>", tick);
		assert_non_null(strstr(text, want)); /* of x or y: they have the same */
	}
	assert_null(strstr(text, ">120<"));
	assert_null(strstr(text, ">0.2<"));
}

static void words_do_not_lie_on_each_other(void **state)
{
	const struct plot_axis x = {"x", 0, 1, false, true};
	struct plot p;
	int words = 0;

	(void)state;
	plot_begin(&p, start(), 400, 300, "t", x, x, NULL, 0);
	for (int i = 0; i < 40; i++)
		plot_word(&p, 0.5, 0.5, "word");
	for (uint32_t i = 0; i < p.takens; i++)
		for (uint32_t j = 0; j < i; j++)
			assert_true(p.taken[i].right <= p.taken[j].left || p.taken[j].right <= p.taken[i].left ||
				    p.taken[i].bottom <= p.taken[j].top || p.taken[j].bottom <= p.taken[i].top);
	plot_end(&p);
	fclose(p.out);
	for (const char *at = text; (at = strstr(at, ">word<")); at++)
		words++;
	assert_in_range(words, 4, 12);
	assert_int_equal(words, p.takens);
}

static void long_words_are_cut(void **state)
{
	char name[2000];
	const struct plot_axis x = {name, 0, 1, false, true};
	struct plot p;

	(void)state;
	memset(name, 'w', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	plot_begin(&p, start(), 400, 300, name, x, x, &(struct plot_entry){name, 0, PLOT_DISC, false, PLOT_SOLID}, 1);
	plot_end(&p);
	fclose(p.out);
	for (const char *at = text; (at = strstr(at, "<text")); at++) {
		const char *from = strchr(at, '>') + 1;

		assert_true(strcspn(from, "<") * 6 < 420);
	}
	assert_non_null(strstr(text, "\xe2\x80\xa6</text>"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_html_reads_otherwise_is_escaped, finish),
		cmocka_unit_test_teardown(what_is_no_text_is_replaced, finish),
		cmocka_unit_test_teardown(cells_are_escaped_and_may_break_after_commas, finish),
		cmocka_unit_test(a_report_is_there_when_it_is_whole),
		cmocka_unit_test_teardown(whatever_the_values_a_plot_holds_them, finish),
		cmocka_unit_test_teardown(ticks_are_round_and_shares_are_percent, finish),
		cmocka_unit_test_teardown(words_do_not_lie_on_each_other, finish),
		cmocka_unit_test_teardown(long_words_are_cut, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
