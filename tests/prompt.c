/* SPDX-License-Identifier: Apache-2.0 */
/* A session under test: rules given as text, events in one call each. */
#include "prompt.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct veto_session *prompt_new(const char *rules, uint32_t candidates, uint32_t cohort, uint32_t max_tokens)
{
	struct veto_rule rule[VETO_RULES_MAX];
	struct veto_session *s = NULL;
	char copy[512], why[VETO_WHY_MAX] = "";
	char *rest = copy;
	uint32_t count = 0;

	snprintf(copy, sizeof(copy), "%s", rules);
	for (char *one; *copy && (one = strsep(&rest, " "));)
		if (veto_rule_parse(one, &rule[count++], why))
			fail_msg("%s", why);
	if (veto_session_new(rule, count, candidates, cohort, max_tokens, &s, why))
		fail_msg("%s", why);
	return s;
}

static void push(struct veto_session *s, const struct veto_event *event)
{
	int err = veto_session_push(s, event);

	if (err)
		fail_msg("event %d of candidate %u: %d", event->kind, event->candidate, err);
}

void prompt_open(struct veto_session *s, uint32_t candidate)
{
	push(s, &(struct veto_event){.kind = VETO_OPEN, .candidate = candidate});
}

void prompt_open_all(struct veto_session *s, uint32_t candidates)
{
	for (uint32_t i = 0; i < candidates; i++)
		prompt_open(s, i);
}

void prompt_push_token(struct veto_session *s, uint32_t candidate, double nats, bool ends_step)
{
	struct veto_event event = {.kind = VETO_TOKEN, .candidate = candidate, .ends_step = ends_step};

	event.score.has = (1u << VETO_FIELDS) - 1;
	for (int i = 0; i < VETO_FIELDS; i++) {
		int64_t value = (int64_t)llrint(nats * (veto_fields[i].unit[1] == '3' ? 0x1p31 : 0x1p20));

		event.score.field[i] = (struct veto_interval){value, value};
	}
	push(s, &event);
}

void prompt_token(struct veto_session *s, uint32_t candidate, double nats)
{
	prompt_push_token(s, candidate, nats, false);
}

void prompt_blank(struct veto_session *s, uint32_t candidate)
{
	push(s, &(struct veto_event){.kind = VETO_TOKEN, .candidate = candidate});
}

void prompt_spell(struct veto_session *s, uint32_t candidate, const char *letters)
{
	for (; *letters; letters++)
		push(s, &(struct veto_event){
				.kind = VETO_TOKEN, .candidate = candidate, .token = (unsigned char)*letters});
}

void prompt_tokens(struct veto_session *s, uint32_t candidate, const double *nats, uint32_t tokens)
{
	for (uint32_t i = 0; i < tokens; i++)
		prompt_token(s, candidate, nats[i]);
}

void prompt_close(struct veto_session *s, uint32_t candidate, uint64_t answer)
{
	push(s, &(struct veto_event){.kind = VETO_CLOSE, .candidate = candidate, .answer = answer});
}

void prompt_lose(struct veto_session *s, uint32_t candidate)
{
	push(s, &(struct veto_event){.kind = VETO_LOST, .candidate = candidate});
}

void prompt_reply(struct veto_session *s, uint32_t candidate, uint32_t rule, double yes)
{
	struct veto_event event = {.kind = VETO_REPLY, .candidate = candidate, .rule = rule};

	event.score.has = 1u << VETO_SUBSET_FIRST;
	event.score.field[VETO_SUBSET_FIRST].low = event.score.field[VETO_SUBSET_FIRST].high = llrint(yes * 0x1p31);
	push(s, &event);
}

void prompt_mark(struct veto_session *s, uint32_t candidate, uint32_t marks)
{
	push(s, &(struct veto_event){.kind = VETO_TOKEN, .candidate = candidate, .marks = marks});
}

const char *prompt_round(struct veto_session *s)
{
	static char text[4096];
	struct veto_verdict v;
	size_t used = 0;

	*text = 0;
	veto_session_round(s);
	while (veto_session_next(s, &v) && used < sizeof(text)) {
		const char *space = used ? " " : "";

		if (v.kind == VETO_SETTLED)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%sS%u", space, v.candidate);
		else if (v.kind == VETO_FORK)
			used += (size_t)snprintf(
				text + used, sizeof(text) - used, "%sF%u=%u@%u", space, v.candidate, v.from, v.tokens);
		else if (v.kind == VETO_ASK)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%sA%u.%u@%u", space, v.candidate,
				v.question, v.tokens);
		else if (v.kind == VETO_COMPLETE)
			used += (size_t)snprintf(text + used, sizeof(text) - used,
				v.is_shadow ? "%s(C%u@%u)" : "%sC%u@%u", space, v.candidate, v.tokens);
		else
			used += (size_t)snprintf(text + used, sizeof(text) - used,
				v.is_shadow ? "%s(R%u@%u)" : "%sR%u@%u", space, v.candidate, v.tokens);
	}
	return text;
}

enum veto_state prompt_state(const struct veto_session *s, uint32_t candidate)
{
	struct veto_candidate_info info;

	assert_int_equal(veto_session_candidate(s, candidate, &info), 0);
	return info.state;
}

struct veto_choice prompt_select(struct veto_session *s, uint32_t rule)
{
	struct veto_choice choice = {0};

	veto_session_select(s, rule, &choice);
	return choice;
}
