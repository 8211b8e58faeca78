/* SPDX-License-Identifier: Apache-2.0 */
/* Random beam searches in lockstep and in random interleavings: the order of events changes nothing. */
#include "prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEAMS_MAX 9
#define TOKENS_MAX 40

/* A beam's next token depends on its path alone, whatever comes when. */
struct beam {
	uint64_t path;
	uint32_t tokens;
	bool is_over;
};

struct search {
	struct veto_session *s;
	uint32_t beams;
	struct beam beam[BEAMS_MAX];
	char story[8192]; /* verdicts, a round's in one line */
	size_t used;
};

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 31) * 0x9e3779b97f4a7c15u;
	return x ^ x >> 29;
}

static uint64_t dice;

static uint32_t below(uint32_t n)
{
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(dice >> 33) % n;
}

static bool may_write(const struct search *x, uint32_t i)
{
	return !x->beam[i].is_over && veto_session_may_go_on(x->s, i);
}

/* Its next token, and with it the end if it has come. */
static void write_token(struct search *x, uint32_t i)
{
	struct beam *beam = &x->beam[i];
	const uint64_t path = beam->path = mix(beam->path + 1);
	const uint32_t end = (uint32_t)(path >> 8) % 40;

	beam->is_over = ++beam->tokens == TOKENS_MAX || end < 2;
	if ((path >> 16) % 9 == 0)
		prompt_blank(x->s, i);
	else
		prompt_push_token(
			x->s, i, (double)((path >> 24) % 6) / 8, (path >> 40) % 4 == 0 || (beam->is_over && end));
	if (beam->is_over && end == 0)
		prompt_lose(x->s, i);
	else if (beam->is_over)
		prompt_close(x->s, i, path % 3);
}

static void end_round(struct search *x)
{
	struct veto_verdict v;

	veto_session_round(x->s);
	while (veto_session_next(x->s, &v)) {
		x->used += (size_t)snprintf(x->story + x->used, sizeof(x->story) - x->used, "%d %u %u %u %lld %lld\n",
			v.kind, v.candidate, v.tokens, v.from, (long long)v.score, (long long)v.threshold);
		assert_in_range(x->used, 0, sizeof(x->story) - 100);
		if (v.kind != VETO_FORK)
			continue;
		x->beam[v.candidate] = x->beam[v.from];
		x->beam[v.candidate].path ^= v.candidate + 1;
	}
}

static void start_search(struct search *x, uint32_t seed)
{
	char rules[100];

	memset(x, 0, sizeof(*x));
	dice = seed;
	x->beams = 2 + below(BEAMS_MAX - 1);
	snprintf(rules, sizeof(rules), "partial-reward:tau=%u,expand=%u,min_survivors=%u,score=%s", 1 + below(6),
		2 + below(3), below(3), below(2) ? "reward" : "margin");
	x->s = prompt_new(rules, x->beams, below(3) ? 0 : 1 + below(x->beams), TOKENS_MAX);
	for (uint32_t i = 0; i < x->beams; i++)
		x->beam[i].path = mix(seed * 100 + i + 1);
}

static void open_waiting(struct search *x)
{
	for (uint32_t i = 0; i < x->beams; i++)
		if (veto_session_may_start(x->s, i))
			prompt_open(x->s, i);
}

static void play_lockstep(struct search *x)
{
	while (!veto_session_is_done(x->s)) {
		open_waiting(x);
		for (uint32_t i = 0; i < x->beams; i++)
			if (may_write(x, i))
				write_token(x, i);
		end_round(x);
	}
}

/* Beams are opened when they come, write in bursts, and rounds end anywhere. */
static void play_at_random(struct search *x)
{
	while (!veto_session_is_done(x->s)) {
		for (uint32_t e = below(3 * x->beams); e > 0; e--) {
			const uint32_t i = below(x->beams);

			if (veto_session_may_start(x->s, i))
				prompt_open(x->s, i);
			for (uint32_t burst = below(5); burst > 0 && may_write(x, i); burst--)
				write_token(x, i);
		}
		end_round(x);
	}
}

/* The verdicts on a cohort keep their order; cohorts do not wait for each other. */
static int compare_lines(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void sort_lines(struct search *x)
{
	char *line[1000], copy[sizeof(x->story)], *rest = copy;
	size_t lines = 0;

	memcpy(copy, x->story, sizeof(copy));
	for (char *one; (one = strsep(&rest, "\n")) && *one; lines++)
		line[lines] = one;
	qsort(line, lines, sizeof(*line), compare_lines);
	x->used = 0;
	for (size_t i = 0; i < lines; i++)
		x->used += (size_t)snprintf(x->story + x->used, sizeof(x->story) - x->used, "%s\n", line[i]);
}

static void the_order_of_events_changes_nothing(void **state)
{
	static struct search lockstep, random;
	uint32_t forks = 0, rejections = 0;

	(void)state;
	for (uint32_t seed = 0; seed < 4000; seed++) {
		start_search(&lockstep, seed);
		start_search(&random, seed);
		play_lockstep(&lockstep);
		dice = seed + 99;
		play_at_random(&random);
		sort_lines(&lockstep);
		sort_lines(&random);
		if (strcmp(lockstep.story, random.story) != 0)
			fail_msg("seed %u: in lockstep\n%sat random\n%s", seed, lockstep.story, random.story);
		for (uint32_t i = 0; i < lockstep.beams; i++) {
			assert_int_equal(lockstep.beam[i].path, random.beam[i].path);
			assert_int_equal(prompt_state(lockstep.s, i), prompt_state(random.s, i));
		}
		for (const char *at = lockstep.story; *at; at = strchr(at, '\n') + 1) {
			rejections += *at == '0' + VETO_REJECT;
			forks += *at == '0' + VETO_FORK;
		}
		veto_session_free(lockstep.s);
		veto_session_free(random.s);
	}
	print_message("%u rejections and %u forks the same\n", rejections, forks);
	assert_true(rejections > 10000 && forks > 10000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_order_of_events_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
