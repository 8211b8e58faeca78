/* SPDX-License-Identifier: Apache-2.0 */
/* Plays recorded candidates: a session, and what a source would do. */
#include "recorded.h"
#include "cli.h"
#include "recording.h"
#include "trace_lists.h"
#include "trace_rewards.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct player {
	const struct trace *trace;
	const struct trace_question *question;
	struct veto_session *session;
	uint32_t *at; /* [candidates] tokens that were given */
	bool *is_writing; /* [candidates] */
	uint32_t writing; /* of them */
	struct played *out;
	struct fate *fate; /* [candidates], or NULL */
};

static int close_candidate(struct player *p, uint32_t i)
{
	const struct veto_event event = {
		.kind = VETO_CLOSE, .candidate = i, .answer = p->question->candidate[i].answer};

	p->is_writing[i] = false;
	p->writing--;
	return veto_session_push(p->session, &event);
}

static int open_waiting(struct player *p)
{
	int err = 0;

	for (uint32_t i = 0; i < p->trace->candidates && p->writing < p->trace->cohort && !err; i++) {
		const struct veto_event event = {.kind = VETO_OPEN, .candidate = i};

		if (!veto_session_may_start(p->session, i))
			continue;
		p->is_writing[i] = true;
		p->writing++;
		err = veto_session_push(p->session, &event);
		if (!err && p->question->candidate[i].tokens == 0)
			err = close_candidate(p, i);
	}
	return err;
}

static int write_tokens(struct player *p)
{
	bool is_any = false;
	int err = 0;

	for (uint32_t i = 0; i < p->trace->candidates && !err; i++) {
		const struct trace_candidate *c = &p->question->candidate[i];
		struct veto_event event = {.kind = VETO_TOKEN, .candidate = i};

		if (!p->is_writing[i])
			continue;
		event.ends_step = c->ends_step[p->at[i]];
		event.token = c->token[p->at[i]];
		trace_score(c, p->at[i]++, &event.score);
		err = veto_session_push(p->session, &event);
		p->out->tokens++;
		p->out->unfinished += !c->is_finished;
		is_any = true;
		if (!err && p->at[i] == c->tokens)
			err = close_candidate(p, i);
	}
	p->out->rounds += is_any;
	return err;
}

static void note_rejection(const struct veto_verdict *v, struct fate *out)
{
	if (out->rejected_at)
		return;
	out->rejected_at = v->tokens;
	out->rule = v->rule;
	out->score = (double)v->score / 0x1p20;
	out->threshold = (double)v->threshold / 0x1p20;
}

static void obey(struct player *p)
{
	struct veto_verdict v;

	while (veto_session_next(p->session, &v)) {
		const struct trace_candidate *c = &p->question->candidate[v.candidate];

		if (v.is_shadow)
			continue;
		p->out->right_rejected += v.kind == VETO_REJECT && c->is_right;
		if (p->fate && v.kind == VETO_REJECT)
			note_rejection(&v, &p->fate[v.candidate]);
		if (p->is_writing[v.candidate]) {
			p->is_writing[v.candidate] = false;
			p->writing--;
		}
	}
}

static void choose(struct player *p, uint32_t selector)
{
	struct veto_choice choice;
	const bool has_choice = veto_session_select(p->session, selector, &choice) == 0;

	for (uint32_t i = 0; i < p->trace->candidates; i++) {
		const struct trace_candidate *c = &p->question->candidate[i];

		p->out->right += c->is_right;
		p->out->is_right |= has_choice && c->answer == choice.answer && c->is_right;
	}
}

static int play_rounds(struct player *p)
{
	int err = 0;

	while (!err) {
		err = open_waiting(p);
		if (err || p->writing == 0)
			break;
		err = write_tokens(p);
		veto_session_round(p->session);
		obey(p);
	}
	return err;
}

int recorded_play(const struct trace *trace, const struct trace_question *question, const struct veto_rule *rule,
	uint32_t rules, struct played *out, struct fate *fate, char *why)
{
	struct player p = {.trace = trace,
		.question = question,
		.at = calloc(trace->candidates, sizeof(*p.at)),
		.is_writing = calloc(trace->candidates, sizeof(*p.is_writing)),
		.out = out,
		.fate = fate};
	int err = -ENOMEM;

	*out = (struct played){0};
	if (fate)
		memset(fate, 0, trace->candidates * sizeof(*fate));
	if (p.at && p.is_writing)
		err = veto_session_new(
			rule, rules, trace->candidates, trace->cohort, trace->max_tokens, &p.session, why);
	else
		param_say(why, "out of memory");
	if (!err) {
		err = play_rounds(&p);
		if (err)
			param_say(why, "%s: the session refused an event: %s", question->id, strerror(-err));
		else
			choose(&p, rules - 1);
		for (uint32_t i = 0; i < trace->candidates && fate; i++)
			fate[i].tokens = p.at[i];
		veto_session_free(p.session);
	}
	free(p.is_writing);
	free(p.at);
	return err;
}

struct copy {
	uint64_t text;
	uint32_t question;
};

static int by_text(const void *a, const void *b)
{
	const struct copy *x = a, *y = b;

	return x->text != y->text ? (x->text > y->text) - (x->text < y->text)
				  : (x->question > y->question) - (x->question < y->question);
}

/* Which questions have the same text. */
static int find_copies(struct trace *t)
{
	struct copy *copy = calloc(t->questions, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->questions; i++)
		copy[i] = (struct copy){t->question[i].text, i};
	qsort(copy, t->questions, sizeof(*copy), by_text);
	for (uint32_t i = 0; i < t->questions; i++)
		t->question[copy[i].question].first = i > 0 && copy[i].text == copy[i - 1].text
							      ? t->question[copy[i - 1].question].first
							      : copy[i].question;
	free(copy);
	return 0;
}

int recorded_read(const char *command, int argc, char **argv, bool to_play, struct trace *out)
{
	char why[VETO_WHY_MAX];

	if (optind == argc)
		return misused(command, "a RECORDING is needed; see veto %s --help", command);
	say_progress("reading %s", argv[optind]);
	if (recording_read((const char *const *)argv + optind, (uint32_t)(argc - optind), out, why))
		return misused(command, "%s", why);
	end_progress();
	if (to_play && trace_check_whole(out, why)) {
		trace_free(out);
		return misused(command, "%s: %s", argv[optind], why);
	}
	if (find_copies(out)) {
		trace_free(out);
		return failed(command, "out of memory");
	}
	if (out->unfinished)
		say(command, "%u questions are left out: the recording ended in them", out->unfinished);
	return EXIT_DONE;
}

int recorded_check_part(const char *command, const struct trace *t, const enum part *part, enum part wanted)
{
	uint32_t learned = 0;

	for (uint32_t i = 0; i < t->questions; i++)
		learned += part[i] == wanted && t->question[i].is_learned;
	if (learned == 0)
		return EXIT_DONE;
	return misused(command,
		"the head has learned from %u questions of the %s part, so its rewards of them tell nothing: use the --split and "
		"--seed of its training",
		learned, part_names[wanted]);
}

struct usage recorded_usage(const struct trace *t)
{
	return (struct usage){
		.candidates = t->candidates,
		.cohort = t->cohort,
		.max_tokens = t->max_tokens,
		.text = {t->model, t->fingerprint, t->sampler, t->template, t->source ? t->source : "exact", t->step,
			t->answer, t->head},
	};
}

/* Whether the rewards that are recorded are of this head, and can't be had anew, as there are no states. */
static bool has_rewards_of(const struct trace *t, const struct veto_head *head)
{
	return t->fields >> VETO_REWARD & 1 && t->state_cols == 0 && t->head &&
	       strcmp(t->head, veto_head_info(head)->checksum) == 0;
}

static bool has_rewards(const struct trace *t)
{
	for (uint32_t i = 0; i < t->questions; i++)
		for (uint32_t j = 0; j < t->candidates; j++) {
			const struct trace_candidate *c = &t->question[i].candidate[j];

			for (uint32_t k = 0; k < c->tokens; k++)
				if (c->field[VETO_REWARD][k].low != TRACE_UNKNOWN)
					return true;
		}
	return false;
}

/* as: what --as left of the scores; NULL: all. */
static int add_rewards(const char *command, const char *head_path, const char *as, struct trace *trace)
{
	struct veto_head *head;
	char why[VETO_WHY_MAX];
	int err = 0;

	if (!head_path)
		return EXIT_DONE;
	if (veto_head_open(head_path, &head, why))
		return misused(command, "%s", why);
	if (has_rewards_of(trace, head))
		trace_mark_learned(trace, head);
	else
		err = trace_add_rewards(trace, head, why);
	if (!err && as && !has_rewards(trace))
		err = param_fail(-EINVAL, why,
			"none of its rewards is known, as it counts on scores that these tokens tell in part only");
	free(trace->head);
	trace->head = strdup(veto_head_info(head)->checksum);
	if (!err && !trace->head)
		err = param_fail(-ENOMEM, why, "out of memory");
	veto_head_close(head);
	return err ? misused(command, "--head %s%s%s: %s", head_path, as ? ", --as " : "", as ? as : "", why)
		   : EXIT_DONE;
}

bool recorded_is_unchecked(const struct trace *t, const struct veto_rule *rule, uint32_t rules, char why[VETO_WHY_MAX])
{
	bool reads_reward = false;

	for (uint32_t i = 0; i < rules; i++)
		reads_reward |= rule_reads_reward(&rule[i]);
	if (reads_reward && !t->is_head_known)
		param_say(why,
			"nothing tells whether the head whose rewards are recorded%s%s%s has learned from these questions, which "
			"would flatter it: give it with --head",
			t->head ? ", " : "", t->head ? t->head : "", t->head ? "," : "");
	return reads_reward && !t->is_head_known;
}

int recorded_option(const char *command, int option, const char *text, struct recorded_how *how)
{
	switch (option) {
	case 'k':
		how->as = text;
		return EXIT_DONE;
	case 'g':
		how->head_path = text;
		return EXIT_DONE;
	case 'c':
		return read_count(command, "--cohort", text, 1, VETO_CANDIDATES_MAX, &how->cohort);
	default:
		return read_count(command, "--vocab", text, 1, VETO_VOCAB_MAX, &how->vocab);
	}
}

static int set_counts(const char *command, const struct recorded_how *how, struct trace *t)
{
	if (how->cohort > t->candidates)
		return misused(command, "--cohort %lld is above the recording's %u candidates", (long long)how->cohort,
			t->candidates);
	if (how->vocab && t->vocab && how->vocab != t->vocab)
		return misused(
			command, "--vocab %lld: the recording's model has %u tokens", (long long)how->vocab, t->vocab);
	t->cohort = how->cohort ? (uint32_t)how->cohort : t->cohort;
	t->vocab = how->vocab ? (uint32_t)how->vocab : t->vocab;
	return EXIT_DONE;
}

int recorded_open(const char *command, int argc, char **argv, const struct recorded_how *how, struct trace *out)
{
	int status = how->vocab && !how->as ? misused(command, "--vocab %lld: it is for --as", (long long)how->vocab)
					    : recorded_read(command, argc, argv, true, out);

	if (status)
		return status;
	status = set_counts(command, how, out);
	if (!status)
		status = recorded_as(command, how->as, out);
	if (!status)
		status = add_rewards(command, how->head_path, how->as, out);
	if (status)
		trace_free(out);
	return status;
}

static bool has_state(const struct trace_candidate *c, uint32_t token)
{
	for (uint32_t i = 0; i < c->states; i++)
		if (c->state_token[i] == token)
			return true;
	return false;
}

/* That every candidate which comes to that token has its state recorded there: live it has one. */
static int check_rung(const struct trace *trace, const struct veto_rule *rule, uint32_t rung, char *why)
{
	for (uint32_t i = 0; i < trace->questions; i++)
		for (uint32_t j = 0; j < trace->candidates; j++) {
			const struct trace_candidate *c = &trace->question[i].candidate[j];

			if (rung <= c->tokens && !has_state(c, rung - 1))
				return param_fail(-EINVAL, why,
					"%s: rungs=%u: candidate %u of '%s' has no reward there, as no state of that token was recorded",
					rule->policy->name, rung, j, trace->question[i].id);
		}
	return 0;
}

static int check_rungs(const struct trace *trace, const struct veto_rule *rule, char *why)
{
	const struct veto_param *param = rule->policy->param;
	int err = 0;

	if (!trace->has_gaps || !rule_reads_reward(rule))
		return 0;
	for (size_t i = 0; param[i].name; i++)
		for (uint32_t k = 0; strcmp(param[i].name, "rungs") == 0 && k < rule->values.count[i] && !err; k++)
			err = check_rung(trace, rule, (uint32_t)rule->values.value[i][k], why);
	return err;
}

static int check_fields(const struct trace *trace, const struct veto_rule *rule, char *why)
{
	const bool is_listed = trace->source && trace_listed(trace->source) > 0;
	int err = 0;

	for (int f = 0; f < VETO_FIELDS && !err; f++) {
		char lacking[128] =
			"the likeliest tokens tell no such score; entropy, self_certainty and sc_lower with --vocab N";

		if (!is_listed || trace->vocab)
			snprintf(lacking, sizeof(lacking),
				"the recording has no such score of every candidate (\"%s\" in a trace)",
				trace_key((enum veto_field)f));
		if (!(trace->fields >> f & 1))
			err = param_check_fields(rule, ~(1u << f), lacking, why);
	}
	return err;
}

int recorded_check(const struct trace *trace, const struct veto_rule *rule, uint32_t rules, char *why)
{
	struct veto_session *session;
	int err = 0;

	for (uint32_t r = 0; r < rules && !err; r++) {
		if (strcmp(rule[r].policy->name, "partial-reward") == 0)
			return param_fail(-EINVAL, why, "partial-reward: beams fork, and recorded candidates can't");
		if (veto_rule_asks(&rule[r]))
			return param_fail(-EINVAL, why, "%s: it asks the model, and recorded candidates can't answer",
				rule[r].policy->name);
		err = check_fields(trace, &rule[r], why);
		if (!err)
			err = check_rungs(trace, &rule[r], why);
	}
	if (!err)
		err = veto_session_new(rule, rules, trace->candidates, trace->cohort, trace->max_tokens, &session, why);
	if (!err)
		veto_session_free(session);
	return err;
}
