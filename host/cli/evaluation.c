/* SPDX-License-Identifier: Apache-2.0 */
/* Plays recorded questions and sums up. */
#include "evaluation.h"
#include "cli.h"
#include "random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RESAMPLES 2000 /* of the bootstrap over questions */
#define TAIL 0.025 /* of an interval of 95 %, each way */

/* The rules of a policy, "none" or joined by VETO_RULES_JOINED, and the selector. */
static int read_setting(
	const char *command, const char *policy, const char *select, struct usage *usage, struct setting *out)
{
	char *texts = strdup(policy), *text[VETO_RULES_MAX];
	const uint32_t rules = texts && strcmp(policy, "none") != 0 ? rules_split(texts, text) : 0;
	int status = texts ? EXIT_DONE : failed(command, "out of memory");

	*out = (struct setting){.policy = policy, .select = select};
	if (rules == VETO_RULES_MAX)
		status = misused(command, "--policy %s: more than %d rules", policy, VETO_RULES_MAX - 1);
	for (; out->rules < rules && !status; out->rules++) {
		status = read_rule(command, "--policy", text[out->rules], false, &out->rule[out->rules]);
		if (!status && usage->text[USAGE_HEAD])
			rule_prefer_reward(text[out->rules], &out->rule[out->rules]);
	}
	usage->rule = out->rule;
	usage->rules = rules;
	for (uint32_t i = 0; i < rules && !status; i++)
		status = calibrated_check(command, text[i], usage, i);
	free(texts);
	return status ? status : read_rule(command, "--select", select, true, &out->rule[out->rules++]);
}

int setting_read(
	const char *command, const char *policy, const char *select, const struct trace *trace, struct setting *out)
{
	char why[VETO_WHY_MAX];
	struct usage usage = recorded_usage(trace);
	int status;

	usage.text[USAGE_SELECT] = select;
	status = read_setting(command, policy, select, &usage, out);

	if (!status && out->rules > 1 && recorded_check(trace, out->rule, out->rules - 1, why))
		status = misused(command, "--policy %s: %s", policy, why);
	if (!status && recorded_check(trace, out->rule, out->rules, why))
		status = misused(command, "--policy %s, --select %s: %s", policy, select, why);
	return status;
}

size_t setting_print(const struct setting *setting, char *text, size_t bytes)
{
	return rules_print(setting->rule, setting->rules - 1, text, bytes);
}

static void add_outcome(struct sums *s, const struct outcome *o)
{
	s->questions++;
	s->full_tokens += o->full.tokens;
	s->tokens += o->played.tokens;
	s->rounds += o->played.rounds;
	s->full_right += o->full.is_right;
	s->is_right += o->played.is_right;
	s->right += o->played.right;
	s->right_rejected += o->played.right_rejected;
	s->answerable += o->played.right > 0;
	if (o->played.right > 0)
		s->lost_shares += (double)o->played.right_rejected / o->played.right;
	s->lost_answers += o->full.is_right && !o->played.is_right;
	s->unfinished_full += o->full.unfinished;
	s->unfinished += o->played.unfinished;
}

double ratio(double a, double b) { return b > 0 ? a / b : 0; }

const char *const risk_names[RISKS] = {"candidate", "pooled", "answer"};

double risk_of(const struct sums *s, enum risk risk)
{
	switch (risk) {
	case RISK_CANDIDATE:
		return ratio(s->lost_shares, (double)s->answerable);
	case RISK_POOLED:
		return ratio((double)s->right_rejected, (double)s->right);
	default:
		return ratio((double)s->lost_answers, (double)s->questions);
	}
}

double estimate_of(const struct sums *s, int estimate)
{
	switch (estimate) {
	case SAVED:
		return ratio((double)s->full_tokens - (double)s->tokens, (double)s->full_tokens);
	case ACCURACY:
		return ratio((double)s->is_right, (double)s->questions);
	case ACCURACY_DIFFERENCE:
		return ratio((double)s->is_right - (double)s->full_right, (double)s->questions);
	case TOKENS_DIFFERENCE:
		return ratio((double)s->tokens - (double)s->reference_tokens, (double)s->full_tokens);
	case ANSWERS_DIFFERENCE:
		return ratio((double)s->is_right - (double)s->reference_right, (double)s->questions);
	default:
		return risk_of(s, (enum risk)estimate);
	}
}

int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Draw as many units as there are, and estimate anew. */
static void resample(const struct evaluation *e, const struct evaluation *reference, uint64_t *seed, double *drawn[])
{
	for (uint32_t i = 0; i < RESAMPLES; i++) {
		struct sums s = {0};

		for (uint32_t j = 0; j < e->units; j++)
			for (uint32_t q = e->unit[random_below(seed, e->units)]; q != NO_OUTCOME; q = e->next[q]) {
				add_outcome(&s, &e->outcome[q]);
				if (!reference)
					continue;
				s.reference_tokens += reference->outcome[q].played.tokens;
				s.reference_right += reference->outcome[q].played.is_right;
			}
		for (int r = 0; r < ESTIMATES; r++)
			drawn[r][i] = estimate_of(&s, r);
	}
}

int evaluation_resample(struct evaluation *e, const struct evaluation *reference, uint64_t seed, char *why)
{
	double *all = calloc(ESTIMATES * RESAMPLES, sizeof(*all)), *drawn[ESTIMATES];
	const size_t tail = (size_t)(TAIL * RESAMPLES);

	if (!all)
		return param_fail(-ENOMEM, why, "out of memory");
	for (int r = 0; r < ESTIMATES; r++)
		drawn[r] = all + (size_t)r * RESAMPLES;
	e->sums.reference_tokens = reference ? reference->sums.tokens : 0;
	e->sums.reference_right = reference ? reference->sums.is_right : 0;
	resample(e, reference, &seed, drawn);
	for (int r = 0; r < ESTIMATES; r++) {
		qsort(drawn[r], RESAMPLES, sizeof(**drawn), by_value);
		e->low[r] = drawn[r][tail];
		e->high[r] = drawn[r][RESAMPLES - 1 - tail];
	}
	free(all);
	return 0;
}

bool question_is_labelled(const struct trace *trace, const struct trace_question *q)
{
	for (uint32_t i = 0; i < trace->candidates; i++)
		if (!q->candidate[i].is_labelled)
			return false;
	return true;
}

/* Chain the outcomes of questions with the same text. */
static int find_units(const struct trace *trace, struct evaluation *e)
{
	uint32_t *last = malloc((trace->questions + 1) * sizeof(*last));

	e->unit = malloc((e->sums.questions + 1) * sizeof(*e->unit));
	e->next = malloc((e->sums.questions + 1) * sizeof(*e->next));
	if (last && e->unit && e->next) {
		memset(last, 0xff, (trace->questions + 1) * sizeof(*last));
		for (uint32_t i = 0; i < e->sums.questions; i++) {
			uint32_t *before = &last[e->outcome[i].question->first];

			e->next[i] = NO_OUTCOME;
			if (*before == NO_OUTCOME)
				e->unit[e->units++] = i;
			else
				e->next[*before] = i;
			*before = i;
		}
	}
	free(last);
	return last && e->unit && e->next ? 0 : -ENOMEM;
}

int evaluation_make(const struct trace *trace, const enum part *part, enum part wanted, const struct setting *setting,
	struct evaluation *out, char *why)
{
	int err;

	*out = (struct evaluation){.outcome = calloc(trace->questions, sizeof(*out->outcome))};
	err = out->outcome ? 0 : param_fail(-ENOMEM, why, "out of memory");
	for (uint32_t i = 0; i < trace->questions && !err; i++) {
		const struct trace_question *q = &trace->question[i];
		struct outcome *o = &out->outcome[out->sums.questions];

		if (part && part[i] != wanted)
			continue;
		if (!question_is_labelled(trace, q)) {
			out->unlabelled++;
			continue;
		}
		o->question = q;
		err = recorded_play(trace, q, &setting->rule[setting->rules - 1], 1, &o->full, NULL, why);
		if (!err)
			err = recorded_play(trace, q, setting->rule, setting->rules, &o->played, NULL, why);
		if (!err)
			add_outcome(&out->sums, o);
	}
	if (!err && find_units(trace, out))
		err = param_fail(-ENOMEM, why, "out of memory");
	if (err)
		evaluation_free(out);
	return err;
}

void evaluation_print_risks(const struct evaluation *e)
{
	for (int r = 0; r < RISKS; r++)
		printf(",\"risk_%s\":%.6f,\"risk_%s_low\":%.6f,\"risk_%s_high\":%.6f", risk_names[r],
			risk_of(&e->sums, (enum risk)r), risk_names[r], e->low[r], risk_names[r], e->high[r]);
}

void evaluation_free(struct evaluation *e)
{
	free(e->outcome);
	free(e->unit);
	free(e->next);
	e->outcome = NULL;
	e->unit = e->next = NULL;
}
