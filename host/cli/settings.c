/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the list that a calibration walks. */
#include "settings.h"
#include "cli.h"
#include "spans.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FREE "=?"

/* What a setting of the list rejects, more or less: small steps where a risk that is allowed lies. */
static double share_of(size_t i) { return (double)(i * i) / ((SETTINGS - 1) * (SETTINGS - 1)); }

/* The policy with a value where its number is free; NULL: out of memory. */
static char *fill_in(const char *policy, const char *value)
{
	const char *at = strstr(policy, FREE);
	char *text = NULL;

	return asprintf(&text, "%.*s=%s%s", (int)(at - policy), policy, value, at + strlen(FREE)) < 0 ? NULL : text;
}

/* The upper end of a token's score as rules read it, which must fall below a threshold; infinite: it has none. */
static double score_of(const struct trace_candidate *c, uint32_t field, uint32_t token)
{
	const struct veto_interval *v = &c->field[field][token];
	const int64_t end = veto_fields[field].sign < 0 ? -v->low : v->high;

	if (v->low == TRACE_UNKNOWN || end == INT64_MAX)
		return INFINITY;
	return (double)end / (strcmp(veto_fields[field].unit, "q31") == 0 ? 0x1p31 : 0x1p20);
}

/* The mean of tokens from..to - 1; infinite: one has no score. */
static double mean_of(const struct trace_candidate *c, uint32_t field, uint32_t from, uint32_t to)
{
	double sum = 0;

	for (uint32_t t = from; t < to; t++)
		sum += score_of(c, field, t);
	return sum / (to - from);
}

/* The lowest mean of the rewards of so many ends of steps, before the last token. */
static double lowest_reward(const struct trace_candidate *c, uint32_t window)
{
	double *reward = calloc(c->tokens + 1, sizeof(*reward)), least = INFINITY;
	uint32_t steps = 0;

	for (uint32_t t = 0; reward && t + 1 < c->tokens; t++) {
		double sum = 0;

		if (!c->ends_step[t])
			continue;
		reward[steps++] = score_of(c, VETO_REWARD, t);
		for (uint32_t i = steps - window; steps >= window && i < steps; i++)
			sum += reward[i];
		if (steps >= window)
			least = fmin(least, sum / window);
	}
	free(reward);
	return least;
}

/* What a floor would have to lie above to reject the candidate: its lowest window, or its score at a rung.  Infinite: nothing
 * rejects it. */
static double lowest(const struct trace_candidate *c, const struct veto_rule *rule, uint32_t rung)
{
	const uint32_t field = (uint32_t)*rule_value(rule, "score", NULL),
		       window = (uint32_t)*rule_value(rule, "window", NULL);
	double least = INFINITY;

	if (rung > 0 && c->tokens <= rung)
		return INFINITY;
	if (field == VETO_REWARD)
		return rung > 0 ? score_of(c, field, rung - 1) : lowest_reward(c, window);
	if (rung > 0)
		return mean_of(c, field, 0, rung);
	for (uint32_t t = window; t < c->tokens; t++)
		least = fmin(least, mean_of(c, field, t - window, t));
	return least;
}

/* The thresholds below which shares of the fit part's right candidates lie, out[SETTINGS]; false: there are none.  Of a reward,
 * of all its candidates: a head has learned from this part, and few right ones lie low in it. */
static bool find_quantiles(
	const struct trace *trace, const enum part *part, const struct veto_rule *rule, uint32_t rung, double *out)
{
	const bool is_reward = *rule_value(rule, "score", NULL) == VETO_REWARD;
	double *all = calloc((size_t)trace->questions * trace->candidates, sizeof(*all));
	size_t count = 0;

	for (uint32_t i = 0; all && i < trace->questions; i++)
		for (uint32_t j = 0; j < trace->candidates && part[i] == PART_FIT; j++) {
			const struct trace_candidate *c = &trace->question[i].candidate[j];
			const double least = c->is_right || is_reward ? lowest(c, rule, rung) : INFINITY;

			if (least < INFINITY)
				all[count++] = least;
		}
	if (count > 0)
		qsort(all, count, sizeof(*all), by_value);
	out[0] = -2048;
	for (size_t i = 1; i < SETTINGS && count > 0; i++) {
		const double at = share_of(i) * (double)(count - 1);
		const size_t below = (size_t)at;

		out[i] = all[below] + (below + 1 < count ? (at - (double)below) * (all[below + 1] - all[below]) : 0);
	}
	free(all);
	return count > 0;
}

/* Thresholds of a floor, one for each rung, joined by '+'; rule: with any threshold. */
static int find_thresholds(const char *command, const char *policy, const struct trace *trace, const enum part *part,
	const struct veto_rule *rule, struct settings *out)
{
	static double threshold[VETO_LIST_MAX][SETTINGS];
	uint32_t rungs;
	const int64_t *rung = rule_value(rule, "rungs", &rungs);
	const uint32_t values = rungs > 0 ? rungs : 1;

	for (uint32_t r = 0; r < values; r++)
		if (!find_quantiles(trace, part, rule, rungs > 0 ? (uint32_t)rung[r] : 0, threshold[r]))
			return failed(command, "the fit part has no right candidate that --policy %s could ever reject",
				policy);
	for (int i = 0; i < SETTINGS; i++) {
		char text[VETO_LIST_MAX * 32] = "";
		size_t used = 0;

		for (uint32_t r = 0; r < values; r++)
			used += (size_t)snprintf(
				text + used, sizeof(text) - used, "%s%.9f", r ? "+" : "", threshold[r][i]);
		out->text[i] = fill_in(policy, text);
	}
	return EXIT_DONE;
}

/* Every setting's text; the free key is threshold of a floor, or keep. */
static int fill_all(const char *command, const char *policy, const char *select, const struct trace *trace,
	const enum part *part, struct settings *out)
{
	const char *at = strstr(policy, FREE), *key = at;
	char any[2 * VETO_LIST_MAX + 2] = "0", *text;
	size_t used = 1;
	struct setting setting;
	int status;

	if (!at || strstr(at + 1, FREE) || strstr(policy, VETO_RULES_JOINED))
		return misused(
			command, "--policy %s: expected one rule with one free number, such as threshold=?", policy);
	while (key > policy && key[-1] != ':' && key[-1] != ',')
		key--;
	if (strncmp(key, "keep=", strlen("keep=")) == 0) {
		for (int i = 0; i < SETTINGS; i++) {
			char keep[32];

			snprintf(keep, sizeof(keep), "%.4f", 1 - 0.99 * share_of((size_t)i));
			out->text[i] = fill_in(policy, keep);
		}
		return EXIT_DONE;
	}
	if (strncmp(policy, "floor:", strlen("floor:")) != 0 || strncmp(key, "threshold=", strlen("threshold=")) != 0)
		return misused(command, "--policy %s: what can be free is threshold of floor, and keep", policy);
	/* As many thresholds as rungs. */
	for (const char *rungs = strstr(policy, "rungs="); rungs && *rungs && *rungs != ',' && used + 3 < sizeof(any);
		rungs++)
		if (*rungs == '+')
			used += (size_t)snprintf(any + used, sizeof(any) - used, "+0");
	text = fill_in(policy, any);
	status = text ? setting_read(command, text, select, trace, &setting) : failed(command, "out of memory");
	if (!status)
		status = find_thresholds(command, policy, trace, part, &setting.rule[0], out);
	free(text);
	return status;
}

int settings_make(const char *command, const char *policy, const char *select, const struct trace *trace,
	const enum part *part, struct settings *out)
{
	int status = fill_all(command, policy, select, trace, part, out);

	for (int i = 0; i < SETTINGS && !status; i++)
		status = out->text[i] ? setting_read(command, out->text[i], select, trace, &out->setting[i])
				      : failed(command, "out of memory");
	return status;
}

void settings_free(struct settings *settings)
{
	for (int i = 0; i < SETTINGS; i++)
		free(settings->text[i]);
}
