/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the list that a calibration walks. */
#include "settings.h"
#include "spans.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FINE 89 /* settings up to where most are; the rest go on to the most aggressive */

/* Where the free number of a policy stands. */
struct blank {
	const char *policy;
	const char *rule, *key, *value; /* in the policy: the start of its rule's text, of its key, and of the value */
	uint32_t index; /* of the rule */
	size_t bytes; /* of the value: '?', or "?FROM..TO" */
	double from, to;
	bool has_range; /* from..to was given */
};

/* What a setting of the list rejects, more or less: small steps where a risk that is allowed lies. */
static double share_of(size_t i) { return (double)(i * i) / ((SETTINGS - 1) * (SETTINGS - 1)); }

/* The policy with a value where its number is free; NULL: out of memory. */
static char *fill_in(const struct blank *b, const char *value)
{
	char *text = NULL;

	return asprintf(&text, "%.*s%s%s", (int)(b->value - b->policy), b->policy, value, b->value + b->bytes) < 0
		       ? NULL
		       : text;
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

static double quantile(const double *sorted, size_t count, double share)
{
	const double at = share * (double)(count - 1);
	const size_t below = (size_t)at;

	return sorted[below] + (below + 1 < count ? (at - (double)below) * (sorted[below + 1] - sorted[below]) : 0);
}

/* The values of the fit part's candidates, of right ones only if they alone count, ascending; returns how many. */
static size_t collect(const struct trace *trace, const enum part *part, const struct veto_rule *rule, uint32_t rung,
	bool right_only, double *out)
{
	size_t count = 0;

	for (uint32_t i = 0; i < trace->questions; i++)
		for (uint32_t j = 0; j < trace->candidates && part[i] == PART_FIT; j++) {
			const struct trace_candidate *c = &trace->question[i].candidate[j];
			const double least = c->is_right || !right_only ? lowest(c, rule, rung) : INFINITY;

			if (least < INFINITY)
				out[count++] = least;
		}
	if (count > 0)
		qsort(out, count, sizeof(*out), by_value);
	return count;
}

/* Of the values, ascending, the share that is at most `limit`, or just below it. */
static double share_below(const double *value, size_t count, double limit)
{
	size_t below = 0;

	while (below < count && value[below] <= limit)
		below++;
	return count > 1 && below > 0 ? (double)(below - 1) / (double)(count - 1) : 1;
}

/* Thresholds, out[SETTINGS], from one that rejects nothing to one that rejects all; most of them up to one that rejects a share
 * `most` of the fit part's right candidates.  False: nothing can be rejected.  Between them lie equal shares of right
 * candidates at a rung; of a window equal shares of all, as wrong ones reach lower; and of a reward, as a head has learned
 * from this part, and few right ones lie low. */
static bool find_quantiles(const struct trace *trace, const enum part *part, const struct veto_rule *rule,
	uint32_t rung, double most, double *out)
{
	const bool is_reward = *rule_value(rule, "score", NULL) == VETO_REWARD;
	double *value = calloc((size_t)trace->questions * trace->candidates, sizeof(*value));
	size_t count = value ? collect(trace, part, rule, rung, true, value) : 0;

	if (value && (rung == 0 || is_reward)) {
		const double limit = count > 0 ? quantile(value, count, most) : INFINITY;

		count = collect(trace, part, rule, rung, false, value);
		most = share_below(value, count, limit);
	}
	out[0] = -2048;
	for (size_t i = 1; i < SETTINGS && count > 0; i++)
		out[i] = quantile(value, count,
			i <= FINE ? most * (double)i / FINE
				  : most + (1 - most) * (double)(i - FINE) / (SETTINGS - 1 - FINE));
	free(value);
	return count > 0;
}

/* Thresholds of a floor, one for each rung, joined by '+'; rule: with any threshold. */
static int find_thresholds(const char *command, const struct blank *b, const struct trace *trace, const enum part *part,
	const struct veto_rule *rule, double most, struct settings *out)
{
	static double threshold[VETO_LIST_MAX][SETTINGS];
	uint32_t rungs;
	const int64_t *rung = rule_value(rule, "rungs", &rungs);
	const uint32_t values = rungs > 0 ? rungs : 1;

	for (uint32_t r = 0; r < values; r++)
		if (!find_quantiles(trace, part, rule, rungs > 0 ? (uint32_t)rung[r] : 0, most, threshold[r]))
			return failed(command, "the fit part has no right candidate that --policy %s could ever reject",
				b->policy);
	for (int i = 0; i < SETTINGS; i++) {
		char text[VETO_LIST_MAX * 32] = "";
		size_t used = 0;

		for (uint32_t r = 0; r < values; r++)
			used += (size_t)snprintf(
				text + used, sizeof(text) - used, "%s%.9f", r ? "+" : "", threshold[r][i]);
		out->text[i] = fill_in(b, text);
	}
	return EXIT_DONE;
}

/* The rule with a value where its number is free. */
static int try(const char *command, const struct blank *b, const char *value, const char *select,
	const struct trace *trace, struct veto_rule *out)
{
	char *text = fill_in(b, value);
	struct setting setting;
	const int status =
		text ? setting_read(command, text, select, trace, &setting) : failed(command, "out of memory");

	*out = setting.rule[b->index];
	free(text);
	return status;
}

/* A floor's thresholds follow from the scores of the fit part. */
static int fill_thresholds(const char *command, const struct blank *b, const char *select, const struct trace *trace,
	const enum part *part, double most, struct settings *out)
{
	const char *end = strstr(b->rule, VETO_RULES_JOINED), *rungs = strstr(b->rule, "rungs=");
	char any[2 * VETO_LIST_MAX + 2] = "0";
	size_t used = 1;
	struct veto_rule rule;
	int status;

	/* As many thresholds as rungs. */
	for (const char *at = !end || rungs < end ? rungs : NULL; at && *at && !strchr(", ", *at); at++)
		if (*at == '+' && used + 3 < sizeof(any))
			used += (size_t)snprintf(any + used, sizeof(any) - used, "+0");
	status = try(command, b, any, select, trace, &rule);
	return status ? status : find_thresholds(command, b, trace, part, &rule, most, out);
}

/* Numbers from `from` to `to`, whole ones if no others will do; of them share(i) of the way. */
static void fill_range(
	const struct blank *b, double from, double to, bool is_whole, double (*share)(size_t i), struct settings *out)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		char text[64];

		snprintf(text, sizeof(text), "%.*f", is_whole ? 0 : 6, from + (to - from) * share(i));
		out->text[i] = fill_in(b, text);
	}
}

static double evenly(size_t i) { return (double)i / (SETTINGS - 1); }

/* Numbers over the range that was given. */
static int fill_given(
	const char *command, const struct blank *b, const char *select, const struct trace *trace, struct settings *out)
{
	const char *equals = strchr(b->key, '=');
	const struct veto_param *param;
	char from[64];
	struct veto_rule rule;
	int status;

	snprintf(from, sizeof(from), "%.*s", (int)(strstr(b->value, "..") - b->value - 1), b->value + 1);
	status = try(command, b, from, select, trace, &rule);
	if (status)
		return status;
	for (param = rule.policy->param; strncmp(param->name, b->key, (size_t)(equals - b->key)) != 0; param++)
		;
	if (param->type == VETO_PARAM_COUNT && b->to != rint(b->to))
		return misused(command, "--policy %s: %s=%.*s: %g is no whole number", b->policy, param->name,
			(int)b->bytes, b->value, b->to);
	fill_range(b, b->from, b->to, param->type == VETO_PARAM_COUNT, evenly, out);
	return EXIT_DONE;
}

static bool begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

/* A decimal. */
static bool read_end(const char *text, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return end != text && !*end && isfinite(*out);
}

/* "FROM..TO" behind the '?', if there is one. */
static bool read_range(const char *text, size_t bytes, struct blank *b)
{
	char from[64], *to;

	if (bytes == 0)
		return true;
	snprintf(from, sizeof(from), "%.*s", (int)bytes, text);
	to = strstr(from, "..");
	if (bytes >= sizeof(from) || !to)
		return false;
	*to = 0;
	to += strlen("..");
	b->has_range = true;
	return read_end(from, &b->from) && read_end(to, &b->to) && b->from != b->to;
}

static int find_blank(const char *command, const char *policy, struct blank *b)
{
	const char *at = strstr(policy, "=?");

	*b = (struct blank){.policy = policy, .rule = policy};
	if (!at || strstr(at + 1, "=?"))
		return misused(
			command, "--policy %s: expected one rule with one free number, such as threshold=?", policy);
	b->value = at + 1;
	b->bytes = strcspn(b->value, ", ");
	if (!read_range(b->value + 1, b->bytes - 1, b))
		return misused(
			command, "--policy %s: '%.*s' is neither ? nor ?FROM..TO", policy, (int)b->bytes, b->value);
	for (b->key = at; b->key > policy && !strchr(":,", b->key[-1]); b->key--)
		;
	for (const char *next; (next = strstr(b->rule, VETO_RULES_JOINED)) && next < at; b->index++)
		b->rule = next + strlen(VETO_RULES_JOINED);
	return EXIT_DONE;
}

/* A key whose list can't be found; or no rule at all, as its reader says. */
static int refuse(const char *command, const struct blank *b, const char *select, const struct trace *trace)
{
	struct veto_rule rule;
	const int status = try(command, b, "1", select, trace, &rule);

	return status ? status
		      : misused(command,
				"--policy %s: what can be free without a range is threshold of floor, and keep; else %.*s=?FROM..TO",
				b->policy, (int)(b->value - 1 - b->key), b->key);
}

/* Every setting's text. */
static int fill_all(const char *command, const char *policy, const char *select, const struct trace *trace,
	const enum part *part, double most, struct settings *out)
{
	struct blank blank;
	const int status = find_blank(command, policy, &blank);

	if (status)
		return status;
	out->free_rule = blank.index;
	if (blank.has_range)
		return fill_given(command, &blank, select, trace, out);
	if (begins(blank.key, "keep="))
		fill_range(&blank, 1, 0.01, false, share_of, out);
	else if (begins(blank.rule, "floor:") && begins(blank.key, "threshold="))
		return fill_thresholds(command, &blank, select, trace, part, most, out);
	else
		return refuse(command, &blank, select, trace);
	return EXIT_DONE;
}

int settings_make(const char *command, const char *policy, const char *select, const struct trace *trace,
	const enum part *part, double most, struct settings *out)
{
	int status = fill_all(command, policy, select, trace, part, most, out);

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
