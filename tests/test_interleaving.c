/* SPDX-License-Identifier: Apache-2.0 */
/* What sessions promise under every interleaving of events. */
#include "prompt.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANDIDATES_MAX 12
#define LENGTH_MAX 24
#define VERDICTS_MAX (CANDIDATES_MAX * 4)

/* --- Random prompts, played in random interleavings --- */

struct script {
	uint32_t tokens;
	struct veto_score score[LENGTH_MAX];
	uint32_t token[LENGTH_MAX];
	bool is_lost; /* at its end, instead of finishing */
	uint64_t answer;
};

struct story {
	const char *rules;
	uint32_t candidates, cohort;
	struct script script[CANDIDATES_MAX];
};

struct history {
	struct veto_verdict verdict[VERDICTS_MAX];
	uint32_t verdicts;
	enum veto_state state[CANDIDATES_MAX];
};

static uint64_t random_state;

static uint32_t below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

static void make_story(struct story *story, const char *rules, bool may_lose)
{
	*story = (struct story){.rules = rules, .candidates = 4 + below(CANDIDATES_MAX - 3)};
	story->cohort = below(2) ? 0 : 1 + below(story->candidates);
	for (uint32_t i = 0; i < story->candidates; i++) {
		struct script *script = &story->script[i];

		script->tokens = 1 + below(LENGTH_MAX);
		script->is_lost = may_lose && below(8) == 0;
		script->answer = below(4);
		for (uint32_t j = 0; j < script->tokens; j++) {
			int64_t value = (int64_t)below(6) << 19; /* few values: many ties */

			script->token[j] = below(3);
			script->score[j].has = below(6) ? (1u << VETO_FIELDS) - 1 : 0;
			for (int f = 0; f < VETO_FIELDS; f++)
				script->score[j].field[f] = (struct veto_interval){value, value};
		}
	}
}

/* A source that may run ahead and hear of verdicts late. */
struct player {
	const struct story *story;
	struct veto_session *s;
	uint32_t next[CANDIDATES_MAX]; /* 0: open; then tokens; then the end; NEXT_OVER */
	bool is_told[CANDIDATES_MAX]; /* a verdict is on its way */
	struct history *history;
};

#define NEXT_OVER UINT32_MAX

/* The candidate's next event; false: it has none now. */
static bool next_event(struct player *p, uint32_t i, struct veto_event *event)
{
	const struct script *script = &p->story->script[i];

	*event = (struct veto_event){.kind = VETO_OPEN, .candidate = i};
	if (p->next[i] == NEXT_OVER || (p->next[i] == 0 && !veto_session_may_start(p->s, i)))
		return false;
	if (p->next[i] > script->tokens) {
		event->kind = script->is_lost ? VETO_LOST : VETO_CLOSE;
		event->answer = script->answer;
		p->next[i] = NEXT_OVER;
		return true;
	}
	if (p->next[i] > 0) {
		event->kind = VETO_TOKEN;
		event->score = script->score[p->next[i] - 1];
		event->token = script->token[p->next[i] - 1];
	}
	p->next[i]++;
	return true;
}

static void read_verdicts(struct player *p, bool is_prompt)
{
	struct veto_verdict v;

	veto_session_round(p->s);
	while (veto_session_next(p->s, &v)) {
		assert_true(p->history->verdicts < VERDICTS_MAX);
		p->history->verdict[p->history->verdicts++] = v;
		if (!v.is_shadow)
			p->is_told[v.candidate] = true;
	}
	for (uint32_t i = 0; i < p->story->candidates; i++)
		if (p->is_told[i] && (is_prompt || below(3) == 0))
			p->next[i] = NEXT_OVER;
}

static void push_checked(struct player *p, const struct veto_event *event)
{
	int err = veto_session_push(p->s, event);

	if (err)
		fail_msg("%s: event %d of candidate %u: %d", p->story->rules, event->kind, event->candidate, err);
}

static void start_player(struct player *p, const struct story *story, struct history *history)
{
	*p = (struct player){.story = story, .history = history};
	history->verdicts = 0;
	p->s = prompt_new(story->rules, story->candidates, story->cohort, LENGTH_MAX);
}

static void end_player(struct player *p)
{
	for (uint32_t i = 0; i < p->story->candidates; i++)
		p->history->state[i] = prompt_state(p->s, i);
	veto_session_free(p->s);
}

/* Every live candidate gets one event a round, in index order, and hears of verdicts at once. */
static void play_lockstep(const struct story *story, struct history *history)
{
	struct player p;
	struct veto_event event;

	start_player(&p, story, history);
	for (uint32_t round = 0; round < 3 * (LENGTH_MAX + 3); round++) {
		for (uint32_t i = 0; i < story->candidates; i++)
			if (next_event(&p, i, &event))
				push_checked(&p, &event);
		read_verdicts(&p, true);
	}
	end_player(&p);
}

static void play_at_random(const struct story *story, struct history *history)
{
	struct player p;
	struct veto_event event;

	start_player(&p, story, history);
	/* First some rounds of bursts, then all that is left. */
	for (uint32_t round = 0; round < 400; round++) {
		uint32_t events = round < 200 ? below(12) : 3 * story->candidates;

		for (uint32_t e = 0; e < events; e++)
			if (next_event(&p, below(story->candidates), &event))
				push_checked(&p, &event);
		read_verdicts(&p, false);
	}
	for (uint32_t i = 0; i < story->candidates; i++)
		while (next_event(&p, i, &event))
			push_checked(&p, &event);
	read_verdicts(&p, true);
	end_player(&p);
}

static const struct veto_verdict *find_reject(const struct history *history, uint32_t candidate)
{
	for (uint32_t i = 0; i < history->verdicts; i++)
		if (history->verdict[i].candidate == candidate && history->verdict[i].kind == VETO_REJECT)
			return &history->verdict[i];
	return NULL;
}

static bool is_same_reject(const struct veto_verdict *a, const struct veto_verdict *b)
{
	return a->tokens == b->tokens && a->score == b->score && a->threshold == b->threshold && a->rule == b->rule;
}

static void assert_same_verdict(const struct veto_verdict *a, const struct veto_verdict *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->is_shadow, b->is_shadow);
	assert_int_equal(a->candidate, b->candidate);
	assert_int_equal(a->field, b->field);
	assert_true(is_same_reject(a, b));
}

static const char *const single_rules[] = {
	"floor:window=3,threshold=1.2",
	"floor:window=2,threshold=1.5,min_survivors=3",
	"floor:rungs=2+5+9,threshold=1+1.2+1.4,min_survivors=0",
	"window-floor:window=3,warmup=3,keep=0.6,score=margin",
	"gate:rungs=3",
	"gate:rungs=1+4+8,keep=0.5",
	"gate:rungs=2+3+9,keep=0.7,min_survivors=3",
	"speculative:budget=20",
	"speculative:budget=9,alpha=0.3,min_survivors=2",
	"speculative:budget=30,alpha=0.7,min_survivors=0",
	"self-truncation",
	"self-truncation:keep=3,tau=0.5",
	"monitor:score=margin,above=2,min_survivors=0",
};

#define SINGLE_RULES (sizeof(single_rules) / sizeof(*single_rules))

static void every_rejection_is_one_that_lockstep_makes(void **state)
{
	uint32_t rejections = 0, missing = 0;

	(void)state;
	for (uint32_t seed = 0; seed < 6000; seed++) {
		struct history lockstep, free_running;
		struct story story;

		random_state = seed;
		make_story(&story, single_rules[seed % SINGLE_RULES], true);
		play_lockstep(&story, &lockstep);
		play_at_random(&story, &free_running);
		for (uint32_t i = 0; i < story.candidates; i++) {
			const struct veto_verdict *a = find_reject(&lockstep, i), *b = find_reject(&free_running, i);

			if (b && (!a || !is_same_reject(a, b)))
				fail_msg("seed %u, %s: candidate %u rejected at %u, in lockstep %d", seed, story.rules,
					i, b->tokens, a ? (int)a->tokens : -1);
			if (a && !b && free_running.state[i] != VETO_FINISHED && free_running.state[i] != VETO_GONE)
				fail_msg("seed %u, %s: candidate %u is missing the rejection at %u", seed, story.rules,
					i, a->tokens);
			rejections += b != NULL;
			missing += a && !b;
		}
	}
	print_message("%u rejections the same, %u missing because the candidate had ended\n", rejections, missing);
	assert_true(rejections > 1000 && missing > 100);
}

/* With several rules a candidate that runs ahead may fall to another rule first; it falls in lockstep too. */
static void whoever_is_rejected_is_rejected_in_lockstep_by_then(void **state)
{
	static const char *const rules[] = {
		"floor:window=3,threshold=1.2 gate:rungs=3+6,keep=0.5",
		"gate:rungs=2,keep=0.6 gate:rungs=4,keep=0.6,score=margin speculative:budget=40",
		"window-floor:window=2,warmup=2,score=margin floor:window=4,threshold=1 gate:rungs=5,keep=0.5",
		"self-truncation:keep=2 floor:window=3,threshold=0.8 gate:rungs=4,keep=0.7",
	};

	(void)state;
	for (uint32_t seed = 0; seed < 3000; seed++) {
		struct history lockstep, free_running;
		struct story story;

		random_state = seed;
		make_story(&story, rules[seed % 4], true);
		play_lockstep(&story, &lockstep);
		play_at_random(&story, &free_running);
		for (uint32_t i = 0; i < story.candidates; i++) {
			const struct veto_verdict *a = find_reject(&lockstep, i), *b = find_reject(&free_running, i);

			if (b && (!a || a->tokens > b->tokens))
				fail_msg("seed %u, %s: candidate %u rejected at %u, in lockstep %d", seed, story.rules,
					i, b->tokens, a ? (int)a->tokens : -1);
		}
	}
}

/* One candidate after the other, each its quota of events. */
static void push_in_order(struct player *p, const uint32_t *quota)
{
	struct veto_event event;

	for (uint32_t i = 0; i < p->story->candidates; i++)
		for (uint32_t e = 0; e < quota[i]; e++)
			if (next_event(p, i, &event))
				push_checked(p, &event);
}

/* The same events, the candidates mixed. */
static void push_shuffled(struct player *p, const uint32_t *quota)
{
	uint32_t rest[CANDIDATES_MAX], left = 0;
	struct veto_event event;

	memcpy(rest, quota, sizeof(rest));
	for (uint32_t i = 0; i < p->story->candidates; i++)
		left += rest[i];
	while (left > 0) {
		uint32_t i = below(p->story->candidates);

		if (rest[i] == 0)
			continue;
		rest[i]--;
		left--;
		if (next_event(p, i, &event))
			push_checked(p, &event);
	}
}

/* The same rounds twice, in two orders that each keep every candidate's own. */
static void play_both_orders(const struct story *story, struct history *history)
{
	struct player p[2];

	start_player(&p[0], story, &history[0]);
	start_player(&p[1], story, &history[1]);
	for (uint32_t round = 0; round < 60; round++) {
		uint32_t quota[CANDIDATES_MAX] = {0};

		for (uint32_t i = 0; i < story->candidates; i++)
			quota[i] = below(4);
		push_in_order(&p[0], quota);
		push_shuffled(&p[1], quota);
		read_verdicts(&p[0], true);
		read_verdicts(&p[1], true);
	}
	end_player(&p[0]);
	end_player(&p[1]);
}

static void arrival_order_inside_a_round_changes_nothing(void **state)
{
	static const char *const rules[] = {
		"floor:window=3,threshold=1.2 gate:rungs=3+6,keep=0.5 consensus:threshold=0.6",
		"window-floor:window=3,warmup=3,keep=0.6,score=margin esc:window=2",
		"speculative:budget=20 adaptive-consistency:threshold=0.7 floor:window=2,threshold=1,shadow=1",
	};
	uint32_t verdicts[3] = {0};

	(void)state;
	for (uint32_t seed = 0; seed < 3000; seed++) {
		struct history history[2];
		struct story story;

		random_state = seed;
		make_story(&story, rules[seed % 3], true);
		play_both_orders(&story, history);
		assert_int_equal(history[0].verdicts, history[1].verdicts);
		for (uint32_t i = 0; i < history[0].verdicts; i++)
			assert_same_verdict(&history[0].verdict[i], &history[1].verdict[i]);
		assert_memory_equal(history[0].state, history[1].state, story.candidates * sizeof(enum veto_state));
		verdicts[seed % 3] += history[0].verdicts;
	}
	for (int i = 0; i < 3; i++)
		assert_in_range(verdicts[i], 500, UINT32_MAX);
}

static void the_order_of_rules_changes_nothing(void **state)
{
	static const char *const rules[2] = {
		"floor:window=3,threshold=1.2 gate:rungs=3+6,keep=0.5 gate:rungs=4,keep=0.5 esc:window=3",
		"esc:window=3 gate:rungs=4,keep=0.5 floor:window=3,threshold=1.2 gate:rungs=3+6,keep=0.5",
	};
	static const uint32_t place[4] = {2, 3, 1, 0}; /* of each rule of the first in the second */
	uint32_t verdicts[4] = {0};

	(void)state;
	for (uint32_t seed = 0; seed < 1000; seed++) {
		struct history history[2];
		struct story story;

		for (int i = 0; i < 2; i++) {
			random_state = seed;
			make_story(&story, rules[i], true);
			play_lockstep(&story, &history[i]);
		}
		assert_int_equal(history[0].verdicts, history[1].verdicts);
		for (uint32_t i = 0; i < history[0].verdicts; i++) {
			assert_int_equal(history[0].verdict[i].candidate, history[1].verdict[i].candidate);
			assert_int_equal(place[history[0].verdict[i].rule], history[1].verdict[i].rule);
			assert_int_equal(history[0].verdict[i].tokens, history[1].verdict[i].tokens);
			verdicts[history[0].verdict[i].rule]++;
		}
	}
	for (int i = 0; i < 4; i++)
		assert_in_range(verdicts[i], 5, UINT32_MAX);
}

static uint32_t minimum_of(const char *rules)
{
	const char *at = strstr(rules, "min_survivors=");

	return at ? (uint32_t)atoi(at + strlen("min_survivors=")) : 1;
}

static void survivors_never_fall_below_the_minimum(void **state)
{
	(void)state;
	for (uint32_t seed = 0; seed < 4000; seed++) {
		struct history history;
		struct story story;
		uint32_t cohort;

		random_state = seed;
		make_story(&story, single_rules[seed % SINGLE_RULES], false);
		if (seed & 1)
			play_lockstep(&story, &history);
		else
			play_at_random(&story, &history);
		cohort = strstr(story.rules, "floor") || !story.cohort ? story.candidates : story.cohort;
		for (uint32_t first = 0; first < story.candidates; first += cohort) {
			uint32_t end = story.candidates - first < cohort ? story.candidates : first + cohort;
			uint32_t minimum = minimum_of(story.rules), survivors = 0;

			for (uint32_t i = first; i < end; i++)
				survivors += history.state[i] != VETO_OUT;
			if (minimum > end - first)
				minimum = end - first;
			if (survivors < minimum)
				fail_msg("seed %u, %s: %u survivors of %u", seed, story.rules, survivors, end - first);
		}
	}
}

static void a_rejected_candidate_never_comes_back(void **state)
{
	(void)state;
	for (uint32_t seed = 0; seed < 4000; seed++) {
		struct history history;
		struct story story;

		random_state = seed;
		make_story(&story, single_rules[seed % SINGLE_RULES], true);
		play_at_random(&story, &history);
		for (uint32_t i = 0; i < history.verdicts; i++) {
			uint32_t candidate = history.verdict[i].candidate;

			assert_true(history.state[candidate] == VETO_OUT || history.state[candidate] == VETO_FINISHED);
			for (uint32_t j = 0; j < i; j++)
				assert_int_not_equal(history.verdict[j].candidate, candidate);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rejection_is_one_that_lockstep_makes),
		cmocka_unit_test(whoever_is_rejected_is_rejected_in_lockstep_by_then),
		cmocka_unit_test(arrival_order_inside_a_round_changes_nothing),
		cmocka_unit_test(the_order_of_rules_changes_nothing),
		cmocka_unit_test(survivors_never_fall_below_the_minimum),
		cmocka_unit_test(a_rejected_candidate_never_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
