/* SPDX-License-Identifier: Apache-2.0 */
/* The golden statistics, by the reference and in a stream: files made by golden_statistics.py, which shares no code with the
 * library. */
#include "check.h"
#include "head.h"
#include "npy.h"

#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER VETO_TESTS_DIR "/golden-statistics/"
enum { TOKENS_MAX = 8192, VOCAB = 8 };

static const uint32_t fields[] = {
	VETO_SELF_CERTAINTY, VETO_ENTROPY, VETO_TOKEN_LOGP, VETO_TOP1_LOGP, VETO_TOPK_CONFIDENCE, VETO_MARGIN};

struct golden {
	char name[64];
	struct veto_head *head;
	struct map npy;
	struct npy states; /* rows 0: none */
	uint32_t tokens;
	struct veto_event event[TOKENS_MAX];
	bool has_reward[TOKENS_MAX];
	int32_t z[TOKENS_MAX];
	int64_t reward[TOKENS_MAX];
};

static FILE *open_text(const struct golden *g, const char *suffix)
{
	char path[512];
	FILE *in;

	snprintf(path, sizeof(path), FOLDER "%s%s", g->name, suffix);
	in = fopen(path, "re");
	if (!in)
		fail_msg("can't open %s", path);
	return in;
}

/* A token's line: whether it ends a step, flags, scores. */
static struct veto_event read_event(char *line)
{
	struct veto_event event = {.kind = VETO_TOKEN};
	char *rest = line, *word = strsep(&rest, " ");

	event.ends_step = *word == '1';
	event.score.flags = (uint32_t)strtoul(strsep(&rest, " "), NULL, 10);
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		char *end;
		struct veto_interval v;

		word = strsep(&rest, " \n");
		if (strcmp(word, "-") == 0)
			continue;
		v.low = v.high = strtoll(word, &end, 10);
		if (*end == ':')
			v.high = strtoll(end + 1, &end, 10);
		assert_int_equal(*end, 0);
		event.score.has |= 1u << fields[i];
		event.score.field[fields[i]] = v;
	}
	return event;
}

static void read_lines(struct golden *g)
{
	FILE *scores = open_text(g, ".scores"), *rewards = open_text(g, ".rewards");
	char line[512];

	while (fgets(line, sizeof(line), scores)) {
		assert_true(g->tokens < TOKENS_MAX);
		g->event[g->tokens] = read_event(line);
		assert_non_null(fgets(line, sizeof(line), rewards));
		g->has_reward[g->tokens] =
			sscanf(line, "%" SCNd32 " %" SCNd64, &g->z[g->tokens], &g->reward[g->tokens]) == 2;
		g->tokens++;
	}
	assert_null(fgets(line, sizeof(line), rewards));
	fclose(rewards);
	fclose(scores);
}

static void open_case(struct golden *g)
{
	char path[512], why[VETO_WHY_MAX];

	snprintf(path, sizeof(path), FOLDER "%s.head", g->name);
	if (veto_head_open(path, &g->head, why))
		fail_msg("%s", why);
	read_lines(g);
	if (!head_reads_states(g->head))
		return;
	snprintf(path, sizeof(path), FOLDER "%s.npy", g->name);
	if (map_open(path, &g->npy, why) || npy_parse(g->npy.data, g->npy.bytes, path, &g->states, why))
		fail_msg("%s", why);
	assert_int_equal(g->states.rows, g->tokens);
}

/* test() for every case; returns how many tokens there were. */
static uint32_t each_case(void (*test)(const struct golden *g))
{
	static struct golden g;
	uint32_t tokens = 0;
	glob_t found;

	assert_int_equal(glob(FOLDER "*.head", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *path = found.gl_pathv[i] + strlen(FOLDER);

		memset(&g, 0, sizeof(g));
		snprintf(g.name, sizeof(g.name), "%.*s", (int)(strlen(path) - strlen(".head")), path);
		open_case(&g);
		test(&g);
		tokens += g.tokens;
		veto_head_close(g.head);
		if (g.states.rows > 0)
			map_close(&g.npy);
	}
	globfree(&found);
	return tokens;
}

static const float *state_of(const struct golden *g, uint32_t t)
{
	return g->states.rows > 0 ? (const float *)g->states.data + (size_t)t * g->states.cols : NULL;
}

/* The outputs of token t's state; false: it is bad. */
static bool score_state(const struct golden *g, uint32_t t, int32_t *q16)
{
	static int32_t q[VETO_STATE_MAX], z[VETO_STATE_MAX];
	const struct veto_rows rows = {.kind = VETO_HIDDEN,
		.rows = 1,
		.cols = (uint32_t)g->states.cols,
		.stride_bytes = g->states.cols * sizeof(float),
		.data = state_of(g, t)};
	struct head_result result;
	struct veto_score score;

	*q16 = 0;
	if (!rows.data)
		return true;
	head_score(g->head, &rows, 0, q, z, &result);
	head_finish(g->head, &rows, 0, &result, &score, q16);
	assert_int_equal(score.has, 0); /* the state alone has no reward */
	return !score.flags;
}

static void fail_at(const struct golden *g, uint32_t t, const char *what, int64_t got, int64_t expected)
{
	fail_msg("%s.rewards, token %u: %s is %" PRId64 ", expected %" PRId64, g->name, t, what, got, expected);
}

static void check_reference(const struct golden *g)
{
	struct statistics all = {.tokens = 0};
	struct head_steps steps = {.steps = 0};

	for (uint32_t t = 0; t < g->tokens; t++) {
		struct head_steps ahead = steps;
		int32_t q16;
		bool has = score_state(g, t, &q16);
		int64_t reward;

		statistics_add(&all, &g->event[t].score, g->event[t].ends_step);
		has &= head_add_statistics(g->head, &all, &q16);
		if (has != g->has_reward[t])
			fail_at(g, t, "whether there is a reward", has, g->has_reward[t]);
		if (!has)
			continue;
		if (q16 != g->z[t])
			fail_at(g, t, "z", q16, g->z[t]);
		reward = head_add_step(g->head, &ahead, &q16);
		if (reward != g->reward[t])
			fail_at(g, t, "the reward", reward, g->reward[t]);
		if (g->event[t].ends_step)
			steps = ahead;
	}
}

static void the_reference_gives_the_golden_rewards(void **state)
{
	(void)state;
	print_message("%u tokens\n", each_case(check_reference));
}

static struct veto_stream *open_stream(struct veto_verifier *v, const struct golden *g)
{
	struct veto_rule rule;
	const struct veto_stream_info info = {.rule = &rule,
		.rules = 1,
		.candidates = 1,
		.max_tokens = g->tokens,
		.vocab = VOCAB,
		.top_k = 2,
		.head = g->head};
	struct veto_stream *s = NULL;
	char why[VETO_WHY_MAX];

	if (veto_rule_parse("gate:score=reward,rungs=2+3+5+7+11+13", &rule, why) || veto_stream_open(v, &info, &s, why))
		fail_msg("%s", why);
	return s;
}

/* Rewards are where steps end, and at the rungs. */
static void check_stream(const struct golden *g)
{
	const uint32_t rungs = 1u << 2 | 1u << 3 | 1u << 5 | 1u << 7 | 1u << 11 | 1u << 13;
	const struct veto_event open = {.kind = VETO_OPEN};
	struct veto_verifier *v;
	struct veto_stream *s;

	assert_int_equal(veto_verifier_open("cpu:", &v, NULL), 0);
	s = open_stream(v, g);
	assert_int_equal(veto_stream_push(s, &open, NULL), 0);
	for (uint32_t t = 0; t < g->tokens; t++) {
		const struct veto_payload payload = {.state = state_of(g, t)};
		const bool is_looked_at = g->event[t].ends_step || (t < 31 && rungs >> (t + 1) & 1);
		const struct veto_score *score;
		bool has;

		assert_int_equal(veto_stream_push(s, &g->event[t], &payload), 0);
		assert_int_equal(veto_stream_round(s, -1), 0);
		score = veto_stream_score(s, 0);
		has = score->has >> VETO_REWARD & 1;
		if (has != (is_looked_at && g->has_reward[t]))
			fail_at(g, t, "whether the stream has a reward", has, is_looked_at && g->has_reward[t]);
		if (has && score->field[VETO_REWARD].low != g->reward[t])
			fail_at(g, t, "the stream's reward", score->field[VETO_REWARD].low, g->reward[t]);
	}
	if (!head_reads_states(g->head))
		assert_int_equal(veto_stream_counts(s).states, 0);
	veto_stream_close(s);
	veto_verifier_close(v);
}

static void a_stream_gives_the_golden_rewards(void **state)
{
	(void)state;
	each_case(check_stream);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reference_gives_the_golden_rewards),
		cmocka_unit_test(a_stream_gives_the_golden_rewards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
