/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations of boards: those that are here are right, and what is wrong with another is said. */
#include "boards.h"
#include "check.h"
#include "param.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOT VETO_TESTS_DIR "/.."

static struct kernels kernels;

static void every_board_is_right(void **state)
{
	glob_t found;

	(void)state;
	assert_int_equal(glob(ROOT "/board-configs/*", 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 5);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char why[VETO_WHY_MAX];
		struct board board;

		if (board_read(found.gl_pathv[i], &kernels, &board, why))
			fail_msg("%s", why);
		/* Weights come through many ports, or a card earns nothing. */
		assert_int_equal(board.kernels.kernel[1].ports, strcmp(board.memory[0].name, "HBM") ? 4 : 16);
		/* The platform is the board's, and nobody claims to have run it. */
		assert_int_equal(strncmp(board.platform, "xilinx_", 7), 0);
		assert_int_equal(strncasecmp(board.platform + 7, board.name, strlen(board.name)), 0);
		assert_int_equal(board.platform[7 + strlen(board.name)], '_');
		assert_non_null(strstr(board.status, "never"));
	}
	globfree(&found);
}

/* The U50's configuration with `from` replaced by `to`. */
static int read_changed(const char *from, const char *to, char *why)
{
	char path[] = "/tmp/veto_board.XXXXXX", text[8192] = "", *at;
	FILE *f = fopen(ROOT "/board-configs/u50.json", "re");
	struct board board;
	int fd, err;

	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	fclose(f);
	at = strstr(text, from);
	if (!at)
		fail_msg("'%s' is not in the file", from);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	f = fdopen(fd, "w");
	assert_non_null(f);
	fprintf(f, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	fclose(f);
	err = board_read(path, &kernels, &board, why);
	unlink(path);
	return err;
}

static void what_is_wrong_is_said(void **state)
{
	static const char *const bad[][3] = {
		{"{", "", "no JSON"},
		{"\"platform\"", "\"platfrom\"", "\"platform\" is missing, or no text"},
		{"\"clock_mhz\": 300", "\"clock_mhz\": 3000",
			"\"clock_mhz\" is missing, or no whole number from 50 to 600"},
		{"\"dsp\": 5952", "\"dsp\": 0", "\"dsp\" is missing, or no whole number from 1 to 100000"},
		{"\"resources\"", "\"resource\"", "\"lut\" is missing"},
		{"\"banks\": 32", "\"banks\": 31", "its memories have 7936 MiB, and \"memory_gib\" is 8"},
		{"HBM[0:15]", "HBM[0:32]", "'HBM[0:32]': HBM has banks 0 to 31"},
		{"HBM[0:15]", "HBM[3:2]", "'HBM[3:2]': HBM has banks 0 to 31"},
		{"HBM[0:15]", "DDR[0]", "'DDR[0]': the board has no memory DDR"},
		{"HBM[0:15]", "HBM[0", "'HBM[0' is not NAME[BANK] or NAME[FIRST:LAST]"},
		{"\"kernel\": \"veto_score_logits\"", "\"kernel\": \"vadd\"",
			"veto_score_logits_1: there is no kernel vadd"},
		{"\"name\": \"veto_score_logits_2\"", "\"name\": \"two\"",
			"unit 1 is named two, and not veto_score_logits_2"},
		{"\"jobs\"", "\"job\"", "\"jobs\" is missing"},
		{"\"jobs\"", "\"more\": \"HBM[0]\", \"jobs\"",
			"names 4 arguments, and veto_score_logits has 3 buffers"},
		{"\"HBM[0:1]\",", "", "veto_score_hidden_1: \"weights\" is not a list of 1, 2, 4, 8 or 16 memories"},
		{"\"weights\"", "\"weights_0\"", "\"weights\" is not a list of 1, 2, 4, 8 or 16 memories"},
		{"HBM[2:3]", "HBM[2:32]", "'HBM[2:32]': HBM has banks 0 to 31"},
		{"\"HBM[2:3]\"", "7", "\"weights_1\" is missing, or not NAME[BANK] or NAME[FIRST:LAST]"},
		{"\"units\"", "\"unit\"", "there are no units"},
	};
	char why[VETO_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(read_changed(bad[i][0], bad[i][1], why), -EINVAL);
		if (!strstr(why, bad[i][2]))
			fail_msg("'%s' lacks '%s'", why, bad[i][2]);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_board_is_right),
		cmocka_unit_test(what_is_wrong_is_said),
	};

	return kernels_read(ROOT "/hls/kernels.json", &kernels, NULL) || cmocka_run_group_tests(tests, NULL, NULL);
}
