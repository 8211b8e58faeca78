/* SPDX-License-Identifier: Apache-2.0 */
/* test_golden_hidden URI...: the golden hidden states, by the reference and by these devices: files made by golden_hidden.py,
 * which shares no code with the library. */
#include "check.h"
#include "head.h"
#include "npy.h"

#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER VETO_TESTS_DIR "/golden-hidden/"

/* What a line of the scores says; a count of 0: nothing. */
struct expected {
	bool is_bad;
	int64_t reward_q31, sc_q20, steps_q31;
	bool has_reward, has_sc, has_steps;
	int64_t q16[VETO_HEAD_OUTPUTS_MAX], log_q20[VETO_HEAD_OUTPUTS_MAX];
	size_t outputs, logs;
};

struct golden {
	char name[64];
	struct veto_head *head;
	const struct veto_head_info *info;
	struct map npy;
	struct veto_rows rows;
	uint32_t *token;
	int64_t *logp;
	struct expected *expected; /* [rows.rows] */
	const char *device; /* that is compared */
};

/* --- Files --- */

static FILE *open_text(const char *name, const char *suffix)
{
	char path[512];
	FILE *in;

	snprintf(path, sizeof(path), FOLDER "%s%s", name, suffix);
	in = fopen(path, "re");
	if (!in)
		fail_msg("can't open %s", path);
	return in;
}

/* The numbers behind a key, in brackets if there are several; returns how many. */
static size_t find_numbers(const char *line, const char *key, int64_t *out)
{
	char quoted[32], *end;
	const char *at;
	size_t count = 0;

	snprintf(quoted, sizeof(quoted), "\"%s\":", key);
	at = strstr(line, quoted);
	if (!at)
		return 0;
	at += strlen(quoted);
	for (at += *at == '['; count < VETO_HEAD_OUTPUTS_MAX; at = end + 1) {
		out[count++] = strtoll(at, &end, 10);
		if (end == at)
			fail_msg("no number at %s", at);
		if (*end != ',' || end[1] == '"')
			break;
	}
	return count;
}

static struct expected read_line(const struct golden *g, uint32_t i, const char *line)
{
	struct expected e = {.is_bad = strstr(line, "\"status\":\"bad_state\"")};
	int64_t row = -1, raw = 0;

	if (find_numbers(line, "row", &row) != 1 || row != i || (!e.is_bad && !strstr(line, "\"status\":\"ok\"")))
		fail_msg("%s.scores, row %u: %s", g->name, i, line);
	e.outputs = find_numbers(line, "head_q16", e.q16);
	e.logs = find_numbers(line, "log_q20", e.log_q20);
	e.has_sc = find_numbers(line, "self_certainty_q20", &e.sc_q20);
	e.has_steps = find_numbers(line, "steps_q31", &e.steps_q31);
	e.has_reward = find_numbers(line, "reward_q31", &e.reward_q31);
	if (find_numbers(line, "reward_q16", &raw)) {
		e.has_reward = true;
		e.reward_q31 = raw * (1 << 15);
	}
	return e;
}

static void read_scores(struct golden *g)
{
	FILE *in = open_text(g->name, ".scores");
	char *line = NULL;
	size_t room = 0;
	uint32_t i = 0;

	g->expected = calloc(g->rows.rows, sizeof(*g->expected));
	assert_non_null(g->expected);
	for (; getline(&line, &room, in) > 0; i++) {
		assert_true(i < g->rows.rows);
		g->expected[i] = read_line(g, i, line);
	}
	assert_int_equal(i, g->rows.rows);
	free(line);
	fclose(in);
}

/* Of a table: a token and a log-probability a row. */
static void read_tokens(struct golden *g)
{
	FILE *tokens = open_text(g->name, ".tokens"), *logps = open_text(g->name, ".logps");
	char line[64], *end;

	g->token = calloc(g->rows.rows, sizeof(*g->token));
	g->logp = calloc(g->rows.rows, sizeof(*g->logp));
	assert_true(g->token && g->logp);
	for (uint32_t i = 0; i < g->rows.rows; i++) {
		assert_non_null(fgets(line, sizeof(line), tokens));
		g->token[i] = (uint32_t)strtoul(line, &end, 10);
		assert_int_equal(*end, '\n');
		assert_non_null(fgets(line, sizeof(line), logps));
		g->logp[i] = veto_logp_q20(strtod(line, &end));
		assert_int_equal(*end, '\n');
	}
	g->rows.token = g->token;
	g->rows.token_logp_q20 = g->logp;
	fclose(logps);
	fclose(tokens);
}

static void read_case(struct golden *g)
{
	char path[512], why[VETO_WHY_MAX];
	struct npy npy = {0};

	snprintf(path, sizeof(path), FOLDER "%s.head", g->name);
	if (veto_head_open(path, &g->head, why))
		fail_msg("%s", why);
	g->info = veto_head_info(g->head);
	snprintf(path, sizeof(path), FOLDER "%s.npy", g->name);
	if (map_open(path, &g->npy, why) || npy_parse(g->npy.data, g->npy.bytes, path, &npy, why))
		fail_msg("%s", why);
	g->rows = (struct veto_rows){.kind = VETO_HIDDEN,
		.format = *npy.type == 'u'	? VETO_BF16
			  : npy.item_bytes == 2 ? VETO_FP16
						: VETO_FP32,
		.rows = (uint32_t)npy.rows,
		.cols = (uint32_t)npy.cols,
		.stride_bytes = npy.cols * npy.item_bytes,
		.data = npy.data};
	assert_int_equal(npy.cols, g->info->cols);
	if (g->info->kind == VETO_HEAD_SCH)
		read_tokens(g);
	read_scores(g);
}

static void free_case(struct golden *g)
{
	veto_head_close(g->head);
	map_close(&g->npy);
	free(g->token);
	free(g->logp);
	free(g->expected);
}

/* test() for every case; the device's name is for messages. */
static void each_case(const char *device, void (*test)(const struct golden *g, void *arg), void *arg)
{
	uint32_t states = 0;
	glob_t found;

	assert_int_equal(glob(FOLDER "*.npy", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *path = found.gl_pathv[i] + strlen(FOLDER);
		struct golden g = {.device = device};

		snprintf(g.name, sizeof(g.name), "%.*s", (int)(strlen(path) - strlen(".npy")), path);
		read_case(&g);
		test(&g, arg);
		states += g.rows.rows;
		free_case(&g);
	}
	print_message("%s: %zu golden cases, %u states\n", device, found.gl_pathc, states);
	globfree(&found);
}

/* --- Comparisons --- */

static void check_number(const struct golden *g, uint32_t i, const char *what, int64_t got, int64_t expected)
{
	if (got != expected)
		fail_msg("%s: %s.scores, row %u: %s is %" PRId64 ", expected %" PRId64, g->device, g->name, i, what,
			got, expected);
}

/* Absent fields of the score are those that the line lacks; outputs of a bad state are 0. */
static void check_score(const struct golden *g, uint32_t i, const struct veto_score *score, const int32_t *q16)
{
	const struct expected *e = &g->expected[i];
	const struct veto_interval *reward = &score->field[VETO_REWARD], *sc = &score->field[VETO_SELF_CERTAINTY];

	check_number(g, i, "flags", score->flags, e->is_bad ? VETO_BAD_STATE : 0);
	check_number(g, i, "has", score->has,
		(e->has_reward ? 1u << VETO_REWARD : 0) | (e->has_sc ? 1u << VETO_SELF_CERTAINTY : 0));
	if (e->has_reward) {
		check_number(g, i, "reward, low", reward->low, e->reward_q31);
		check_number(g, i, "reward, high", reward->high, e->reward_q31);
	}
	if (e->has_sc) {
		check_number(g, i, "self-certainty, low", sc->low, e->sc_q20);
		check_number(g, i, "self-certainty, high", sc->high, e->sc_q20);
	}
	if (g->info->kind == VETO_HEAD_SCH)
		return;
	check_number(g, i, "outputs", e->is_bad ? 0 : g->info->outputs, (int64_t)e->outputs);
	for (uint32_t o = 0; o < g->info->outputs; o++) {
		char what[32];

		snprintf(what, sizeof(what), "head_q16[%u]", o);
		check_number(g, i, what, q16[o], e->q16[o]);
	}
}

/* The logarithms of the classes, and the reward of all steps so far. */
static void check_steps(const struct golden *g, uint32_t i, const int32_t *q16, struct head_steps *steps)
{
	const struct expected *e = &g->expected[i];
	const int32_t pair[] = {0, q16[0]};
	uint32_t p[VETO_HEAD_OUTPUTS_MAX];
	int64_t log[VETO_HEAD_OUTPUTS_MAX];

	assert_int_equal(e->logs > 0, e->has_steps);
	if (!e->has_steps)
		return;
	if (g->head->output == HEAD_SIGMOID)
		hx1_softmax(pair, 2, p, log);
	else
		hx1_softmax(q16, g->info->outputs, p, log);
	check_number(g, i, "logarithms", g->head->output == HEAD_SIGMOID ? 2 : g->info->outputs, (int64_t)e->logs);
	for (size_t k = 0; k < e->logs; k++) {
		char what[32];

		snprintf(what, sizeof(what), "log_q20[%zu]", k);
		check_number(g, i, what, log[k], e->log_q20[k]);
	}
	check_number(g, i, "steps_q31", head_add_step(g->head, steps, q16), e->steps_q31);
}

static void check_reference(const struct golden *g, void *arg)
{
	int32_t *room = malloc(2 * VETO_STATE_MAX * sizeof(*room)), q16[VETO_HEAD_OUTPUTS_MAX];
	struct head_steps steps = {0};
	struct head_result result;
	struct veto_score score;

	(void)arg;
	assert_non_null(room);
	for (uint32_t i = 0; i < g->rows.rows; i++) {
		head_score(g->head, &g->rows, i, room, room + VETO_STATE_MAX, &result);
		head_finish(g->head, &g->rows, i, &result, &score, q16);
		check_score(g, i, &score, q16);
		check_steps(g, i, q16, &steps);
	}
	free(room);
}

static void check_device(const struct golden *g, void *arg)
{
	struct veto_device *dev = arg;
	struct veto_rows rows = g->rows;
	struct veto_score *score = calloc(rows.rows, sizeof(*score));
	int32_t *q16 = calloc(rows.rows, VETO_HEAD_OUTPUTS_MAX * sizeof(*q16));
	char why[VETO_WHY_MAX];

	assert_true(score && q16);
	if (veto_device_load(dev, g->head, &rows.head, why))
		fail_msg("%s: %s: %s", g->device, g->name, why);
	assert_int_equal(veto_device_score(dev, &rows,
				 &(struct veto_results){.score = score, .head_q16 = g->info->outputs ? q16 : NULL}),
		0);
	veto_device_unload(dev, rows.head);
	for (uint32_t i = 0; i < rows.rows; i++)
		check_score(g, i, &score[i], q16 + (size_t)i * g->info->outputs);
	free(q16);
	free(score);
}

/* --- Tests --- */

static void the_reference_gives_the_golden_scores(void **state)
{
	(void)state;
	each_case("reference", check_reference, NULL);
}

static const char *uri;

static void the_device_gives_the_golden_scores(void **state)
{
	struct veto_device *dev;
	char why[VETO_WHY_MAX];

	(void)state;
	if (veto_device_open(uri, &dev, why)) {
		if (!strstr(why, "this processor or build has no"))
			fail_msg("%s", why);
		print_message("%s\n", why);
		skip();
	}
	each_case(uri, check_device, dev);
	veto_device_close(dev);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest reference[] = {cmocka_unit_test(the_reference_gives_the_golden_scores)},
				       device[] = {cmocka_unit_test(the_device_gives_the_golden_scores)};
	int failed = cmocka_run_group_tests(reference, NULL, NULL);

	for (int i = 1; i < argc; i++) {
		uri = argv[i];
		failed += cmocka_run_group_tests_name(uri, device, NULL, NULL);
	}
	return failed;
}
