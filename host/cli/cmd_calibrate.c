/* SPDX-License-Identifier: Apache-2.0 */
/* veto calibrate: chooses a policy's free number so that its risk is at most alpha, as far as recorded questions can show. */
#include "calibration.h"
#include "cli.h"
#include "evaluation.h"
#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEPS 50 /* of the list of settings, beyond the one that rejects nothing */
#define FREE "=?"

static const char help[] =
	"Usage: veto calibrate --policy P [OPTION]... -o FILE TRACE\n"
	"Chooses the free number of a policy, written key=?, so that with a chance of at least 1 - delta its risk on new questions\n"
	"like the recorded ones is at most alpha.\n\n"
	"      --policy P       a rejecting rule: floor with threshold=?, or gate or window-floor with keep=?\n"
	"      --select S       how the answer is chosen (default majority)\n"
	"      --risk R         candidate: the chance that a right candidate of a question is rejected (default); pooled: the share of\n"
	"                       all right candidates; answer: of questions that lose their right answer\n"
	"      --alpha A        the risk that is allowed (default 0.1)\n"
	"      --delta D        the chance that it is higher nevertheless (default 0.1)\n"
	"      --pvalue V       wsr (default) or hb\n"
	"      --split F,C,T    shares of the questions for fit, calibrate and test, or a JSON file (default 0.3,0.5,0.2)\n"
	"      --seed S         of the split and of the order of questions (default 1)\n"
	"  -o, --output FILE    the policy, for --policy FILE\n"
	"      --json           what was found as one JSON object\n"
	"      --help           this text\n";

struct args {
	const char *policy, *select, *output, *path;
	enum risk risk;
	struct calibration how;
	struct split split;
	bool is_json;
};

/* The settings, from the one that rejects nothing on. */
struct list {
	char *text[STEPS + 1];
	struct setting setting[STEPS + 1];
};

/* --- Arguments --- */

static int read_name(
	const char *option, const char *text, const char *const *names, int count, size_t skipped, int *out)
{
	for (*out = 0; *out < count; ++*out)
		if (strcmp(names[*out] + skipped, text) == 0)
			return EXIT_DONE;
	return misused("calibrate", "%s '%s': unknown; see veto calibrate --help", option, text);
}

static int read_share(const char *option, const char *text, double *out)
{
	if (read_decimal("calibrate", option, text, 0, 1, out))
		return EXIT_MISUSED;
	return *out > 0 && *out < 1 ? EXIT_DONE : misused("calibrate", "%s %s: it lies between 0 and 1", option, text);
}

static int read_option(int option, char *text, void *arg)
{
	struct args *args = arg;
	int64_t seed;
	int index, status;

	switch (option) {
	case 'p':
		if (args->policy)
			return misused("calibrate", "--policy is given twice");
		args->policy = text;
		return EXIT_DONE;
	case 's':
		args->select = text;
		return EXIT_DONE;
	case 'r':
		status = read_name("--risk", text, risk_names, RISKS, strlen("risk_"), &index);
		args->risk = (enum risk)index;
		return status;
	case 'v':
		status = read_name("--pvalue", text, calibration_tests, CALIBRATION_TESTS, 0, &index);
		args->how.test = (enum calibration_test)index;
		return status;
	case 'a':
		return read_share("--alpha", text, &args->how.alpha);
	case 'd':
		return read_share("--delta", text, &args->how.delta);
	case 'x':
		return split_read("calibrate", text, &args->split);
	case 'e':
		if (read_count("calibrate", "--seed", text, 0, INT64_MAX, &seed))
			return EXIT_MISUSED;
		args->split.seed = (uint64_t)seed;
		return EXIT_DONE;
	case 'o':
		args->output = text;
		return EXIT_DONE;
	default:
		args->is_json = true;
		return EXIT_DONE;
	}
}

/* EXIT_DONE with args->path NULL: help was shown. */
static int read_args(int argc, char **argv, struct args *args)
{
	static const struct option options[] = {
		{"policy", required_argument, NULL, 'p'},
		{"select", required_argument, NULL, 's'},
		{"risk", required_argument, NULL, 'r'},
		{"alpha", required_argument, NULL, 'a'},
		{"delta", required_argument, NULL, 'd'},
		{"pvalue", required_argument, NULL, 'v'},
		{"split", required_argument, NULL, 'x'},
		{"seed", required_argument, NULL, 'e'},
		{"output", required_argument, NULL, 'o'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	static const struct command_options all = {"calibrate", help, ":o:h", options, read_option};
	bool wants_help;
	const int status = read_options(&all, argc, argv, args, &wants_help);

	if (status || wants_help)
		return status;
	if (optind == argc || !args->policy || !args->output)
		return misused("calibrate", "--policy, -o and a TRACE are needed; see veto calibrate --help");
	if (optind + 1 < argc)
		return misused("calibrate", "unexpected argument '%s'", argv[optind + 1]);
	args->path = argv[optind];
	return args->split.text ? EXIT_DONE : split_read("calibrate", "0.3,0.5,0.2", &args->split);
}

/* --- The list --- */

/* What a setting of the list rejects, more or less: small steps where a risk that is allowed lies. */
static double share_of(size_t i) { return (double)(i * i) / (STEPS * STEPS); }

/* The policy with a value where its number is free; NULL: out of memory. */
static char *fill_in(const char *policy, const char *value)
{
	const char *at = strstr(policy, FREE);
	char *text = NULL;

	return asprintf(&text, "%.*s=%s%s", (int)(at - policy), policy, value, at + strlen(FREE)) < 0 ? NULL : text;
}

static const int64_t *value_of(const struct veto_rule *rule, const char *name, uint32_t *count)
{
	size_t i = 0;

	while (strcmp(rule->policy->param[i].name, name) != 0)
		i++;
	if (count)
		*count = rule->values.count[i];
	return rule->values.value[i];
}

/* The mean of tokens from..to - 1 as the rule reads them; infinite: one has no score. */
static double mean_of(const struct trace_candidate *c, uint32_t field, uint32_t from, uint32_t to)
{
	double sum = 0;

	for (uint32_t t = from; t < to; t++) {
		const struct veto_interval *v = &c->field[field][t];

		if (v->low == TRACE_UNKNOWN)
			return INFINITY;
		sum += (double)(veto_fields[field].sign < 0 ? -v->high : v->low);
	}
	return sum / (to - from) / 0x1p20;
}

/* What a floor would have to lie above to reject the candidate: its lowest window, or its mean at a rung.  Infinite: nothing
 * rejects it. */
static double lowest(const struct trace_candidate *c, const struct veto_rule *rule, uint32_t rung)
{
	const uint32_t field = (uint32_t)*value_of(rule, "score", NULL),
		       window = (uint32_t)*value_of(rule, "window", NULL);
	double least = INFINITY;

	if (rung > 0)
		return c->tokens > rung ? mean_of(c, field, 0, rung) : INFINITY;
	for (uint32_t t = window; t < c->tokens; t++)
		least = fmin(least, mean_of(c, field, t - window, t));
	return least;
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The thresholds below which shares of the fit part's right candidates lie, in [STEPS + 1]; false: there are none. */
static bool find_quantiles(
	const struct trace *trace, const enum part *part, const struct veto_rule *rule, uint32_t rung, double *out)
{
	double *all = calloc((size_t)trace->questions * trace->candidates, sizeof(*all));
	size_t count = 0;

	for (uint32_t i = 0; all && i < trace->questions; i++)
		for (uint32_t j = 0; j < trace->candidates && part[i] == PART_FIT; j++) {
			const struct trace_candidate *c = &trace->question[i].candidate[j];
			const double least = c->is_right ? lowest(c, rule, rung) : INFINITY;

			if (least < INFINITY)
				all[count++] = least;
		}
	if (count > 0)
		qsort(all, count, sizeof(*all), by_value);
	out[0] = -2048;
	for (size_t i = 1; i <= STEPS && count > 0; i++) {
		const double at = share_of(i) * (double)(count - 1);
		const size_t below = (size_t)at;

		out[i] = all[below] + (below + 1 < count ? (at - (double)below) * (all[below + 1] - all[below]) : 0);
	}
	free(all);
	return count > 0;
}

/* Thresholds of a floor, one for each rung, joined by '+'; rule: with any threshold. */
static int find_thresholds(const struct args *args, const struct trace *trace, const enum part *part,
	const struct veto_rule *rule, struct list *list)
{
	static double threshold[VETO_LIST_MAX][STEPS + 1];
	uint32_t rungs;
	const int64_t *rung = value_of(rule, "rungs", &rungs);
	const uint32_t values = rungs > 0 ? rungs : 1;

	for (uint32_t r = 0; r < values; r++)
		if (!find_quantiles(trace, part, rule, rungs > 0 ? (uint32_t)rung[r] : 0, threshold[r]))
			return failed("calibrate",
				"the fit part has no right candidate that --policy %s could ever reject", args->policy);
	for (int i = 0; i <= STEPS; i++) {
		char text[VETO_LIST_MAX * 32] = "";
		size_t used = 0;

		for (uint32_t r = 0; r < values; r++)
			used += (size_t)snprintf(
				text + used, sizeof(text) - used, "%s%.9f", r ? "+" : "", threshold[r][i]);
		list->text[i] = fill_in(args->policy, text);
	}
	return EXIT_DONE;
}

/* Every setting's text; the free key is threshold of a floor, or keep. */
static int fill_list(const struct args *args, const struct trace *trace, const enum part *part, struct list *list)
{
	const char *at = strstr(args->policy, FREE), *key = at;
	char *any;
	struct setting setting;
	int status;

	if (!at || strstr(at + 1, FREE) || strstr(args->policy, RULES_JOINED))
		return misused("calibrate", "--policy %s: expected one rule with one free number, such as threshold=?",
			args->policy);
	while (key > args->policy && key[-1] != ':' && key[-1] != ',')
		key--;
	if (strncmp(key, "keep=", strlen("keep=")) == 0) {
		for (int i = 0; i <= STEPS; i++) {
			char text[32];

			snprintf(text, sizeof(text), "%.4f", 1 - 0.99 * share_of((size_t)i));
			list->text[i] = fill_in(args->policy, text);
		}
		return EXIT_DONE;
	}
	if (strncmp(args->policy, "floor:", strlen("floor:")) != 0 ||
		strncmp(key, "threshold=", strlen("threshold=")) != 0)
		return misused(
			"calibrate", "--policy %s: what can be free is threshold of floor, and keep", args->policy);
	any = strstr(args->policy, "rungs=") ? NULL : fill_in(args->policy, "0");
	if (!any) { /* as many thresholds as rungs */
		char zeros[2 * VETO_LIST_MAX] = "0";
		const char *rungs = strstr(args->policy, "rungs=");
		size_t used = 1;

		for (; rungs && *rungs && *rungs != ',' && used + 3 < sizeof(zeros); rungs++)
			if (*rungs == '+')
				used += (size_t)snprintf(zeros + used, sizeof(zeros) - used, "+0");
		any = fill_in(args->policy, zeros);
	}
	status = any ? setting_read("calibrate", any, args->select, trace, &setting)
		     : failed("calibrate", "out of memory");
	if (!status)
		status = find_thresholds(args, trace, part, &setting.rule[0], list);
	free(any);
	return status;
}

static int make_list(const struct args *args, const struct trace *trace, const enum part *part, struct list *list)
{
	int status = fill_list(args, trace, part, list);

	for (int i = 0; i <= STEPS && !status; i++)
		status = list->text[i]
				 ? setting_read("calibrate", list->text[i], args->select, trace, &list->setting[i])
				 : failed("calibrate", "out of memory");
	return status;
}

/* --- The test --- */

/* The loss of a question, or NAN: it is no unit of this risk. */
static double loss_of(const struct args *args, const struct outcome *o, uint32_t candidates)
{
	const double alpha = args->how.alpha, right = o->played.right;

	switch (args->risk) {
	case RISK_CANDIDATE:
		return right > 0 ? o->played.right_rejected / right : NAN;
	case RISK_POOLED:
		return (o->played.right_rejected + alpha * (candidates - right)) / candidates;
	default:
		return o->full.is_right && !o->played.is_right;
	}
}

/* An order of the questions that depends on the seed alone (Fisher and Yates, with Steele, Lea and Flood's splitmix64). */
static void shuffle(uint32_t *order, uint32_t count, uint64_t seed)
{
	for (uint32_t i = 0; i < count; i++)
		order[i] = i;
	for (uint32_t i = count; i > 1; i--) {
		uint64_t z = seed += 0x9e3779b97f4a7c15u;
		uint32_t j, kept;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
		z = (z ^ z >> 27) * 0x94d049bb133111ebu;
		j = (uint32_t)((unsigned __int128)(z ^ z >> 31) * i >> 64);
		kept = order[i - 1];
		order[i - 1] = order[j];
		order[j] = kept;
	}
}

struct found {
	double *loss; /* [STEPS + 1][units] */
	double p[STEPS + 1];
	uint64_t saved[STEPS + 1]; /* tokens */
	uint32_t units, questions, chosen, tested;
};

/* Play every setting on the calibrate part. */
static int find_losses(const struct args *args, const struct trace *trace, const enum part *part,
	const struct list *list, struct found *found)
{
	uint32_t *order = calloc(trace->questions, sizeof(*order));
	uint32_t units = 0; /* known once the first setting is played */
	char why[VETO_WHY_MAX];
	int status = order ? EXIT_DONE : failed("calibrate", "out of memory");

	for (int i = 0; i <= STEPS && !status; i++) {
		struct evaluation e;

		if (evaluation_make(trace, part, PART_CALIBRATE, &list->setting[i], args->split.seed, &e, why)) {
			status = failed("calibrate", "--policy %s: %s", list->text[i], why);
			break;
		}
		found->questions = (uint32_t)e.sums.questions;
		found->saved[i] = e.sums.full_tokens - e.sums.tokens;
		found->units = units;
		shuffle(order, found->questions, args->split.seed);
		for (uint32_t j = 0, unit = 0; j < found->questions; j++) {
			const double loss = loss_of(args, &e.outcome[order[j]], trace->candidates);

			if (!isnan(loss))
				found->loss[(size_t)i * found->units + unit++] = loss;
			if (i == 0)
				units = unit;
		}
		evaluation_free(&e);
	}
	found->units = units;
	free(order);
	return status;
}

static int calibrate(const struct args *args, const struct trace *trace, const enum part *part, const struct list *list,
	struct found *found)
{
	const uint32_t needed = calibration_needed(&args->how);
	int status;

	found->loss = calloc((size_t)(STEPS + 1) * trace->questions, sizeof(*found->loss));
	status = found->loss ? find_losses(args, trace, part, list, found) : failed("calibrate", "out of memory");
	if (status)
		return status;
	if (found->units < needed)
		return failed("calibrate",
			"the calibrate part has %u questions that count, and at alpha %g and delta %g at least %u are needed, 150 "
			"to 400 for settings that save much",
			found->units, args->how.alpha, args->how.delta, needed);
	found->chosen = calibration_choose(&args->how, found->loss, STEPS + 1, found->units, found->p, &found->tested);
	if (found->saved[found->chosen] > 0)
		return EXIT_DONE;
	if (found->chosen == STEPS)
		return failed("calibrate", "--policy %s: no setting of the list stops anything", args->policy);
	return failed("calibrate",
		"no setting of --policy %s that stops anything is certified: %s has p = %.4f, above delta %g; no policy is "
		"written",
		args->policy, list->text[found->tested - 1], found->p[found->tested - 1], args->how.delta);
}

/* --- The policy file --- */

/* The rule's parameters as JSON members, and what it was calibrated for. */
static int write_policy(
	const struct args *args, const struct trace *trace, const struct list *list, const struct found *found)
{
	char text[1024], *rest = text, *pair;
	FILE *out = fopen(args->output, "we");

	if (!out)
		return failed("calibrate", "can't write '%s': %m", args->output);
	veto_rule_print(&list->setting[found->chosen].rule[0], text, sizeof(text));
	fprintf(out, "{\n\t\"policy\": \"%s\"", strsep(&rest, ":"));
	while ((pair = strsep(&rest, ","))) {
		char *value = strchr(pair, '=');
		bool is_list;

		*value++ = 0;
		is_list = strchr(value, '+') != NULL;
		fprintf(out, ",\n\t\"%s\": %s", pair, is_list ? "[" : "");
		for (char *one; (one = strsep(&value, "+"));)
			fprintf(out, strspn(one, "-0123456789.e") == strlen(one) ? "%s%s" : "\"%s\"%s", one,
				value ? ", " : "");
		fprintf(out, "%s", is_list ? "]" : "");
	}
	fprintf(out,
		",\n\t\"calibrated_risk\": \"%s\",\n\t\"calibrated_alpha\": %g,\n\t\"calibrated_delta\": %g,\n\t\"calibrated_pvalue\": "
		"\"%s\",\n\t\"calibrated_units\": %u,\n\t\"calibrated_seed\": %" PRIu64
		",\n\t\"calibrated_select\": \"%s\",\n\t\"calibrated_candidates\": %u,\n\t\"calibrated_cohort\": "
		"%u,\n\t\"calibrated_max_tokens\": %u\n}\n",
		risk_names[args->risk] + strlen("risk_"), args->how.alpha, args->how.delta,
		calibration_tests[args->how.test], found->units, args->split.seed, args->select, trace->candidates,
		trace->cohort, trace->max_tokens);
	return fclose(out) ? failed("calibrate", "can't write '%s': %m", args->output) : EXIT_DONE;
}

/* --- The report --- */

static void print_report(
	const struct args *args, const struct list *list, const struct found *found, const struct evaluation *test)
{
	const char *chosen = list->text[found->chosen];
	const struct sums *s = &test->sums;
	const double saved = 1 - ratio((double)s->tokens, (double)s->full_tokens);

	if (!args->is_json) {
		printf("%s: %s\n  risk %s at most %g with a chance of %g, by %s over %u questions (%u settings of %d were tested)\n"
		       "  on the test part: %.1f %% of the tokens saved; risk %.4f (%.4f to %.4f) over %" PRIu64
		       " questions\n",
			args->output, chosen, risk_names[args->risk] + strlen("risk_"), args->how.alpha,
			1 - args->how.delta, calibration_tests[args->how.test], found->units, found->tested, STEPS + 1,
			100 * saved, risk_of(s, args->risk), test->low[args->risk], test->high[args->risk],
			s->questions);
		return;
	}
	printf("{\"policy\":\"%s\",\"risk\":\"%s\",\"alpha\":%g,\"delta\":%g,\"pvalue\":\"%s\",\"units\":%u,\"chosen\":%u,\"tested\":%u,"
	       "\"p\":%.6g,\"saved\":%.6f",
		chosen, risk_names[args->risk] + strlen("risk_"), args->how.alpha, args->how.delta,
		calibration_tests[args->how.test], found->units, found->chosen, found->tested, found->p[found->chosen],
		saved);
	for (int r = 0; r < RISKS; r++)
		printf(",\"%s\":%.6f,\"%s_low\":%.6f,\"%s_high\":%.6f", risk_names[r], risk_of(s, (enum risk)r),
			risk_names[r], test->low[r], risk_names[r], test->high[r]);
	printf("}\n");
}

static int report(const struct args *args, const struct trace *trace, const enum part *part, const struct list *list,
	const struct found *found)
{
	struct evaluation test;
	char why[VETO_WHY_MAX];

	if (evaluation_make(trace, part, PART_TEST, &list->setting[found->chosen], args->split.seed, &test, why))
		return failed("calibrate", "%s", why);
	print_report(args, list, found, &test);
	evaluation_free(&test);
	return EXIT_DONE;
}

static int run(const struct args *args, const struct trace *trace)
{
	static struct list list;
	struct found found = {.loss = NULL};
	int status;
	enum part *part = split_parts("calibrate", &args->split, trace, &status);

	if (!status)
		status = make_list(args, trace, part, &list);
	if (!status)
		status = calibrate(args, trace, part, &list, &found);
	if (!status)
		status = write_policy(args, trace, &list, &found);
	if (!status)
		status = report(args, trace, part, &list, &found);
	for (int i = 0; i <= STEPS; i++)
		free(list.text[i]);
	free(found.loss);
	free(part);
	return status;
}

int cmd_calibrate(int argc, char **argv)
{
	struct args args = {
		.select = "majority", .how = {.test = CALIBRATION_WSR, .alpha = 0.1, .delta = 0.1}, .split.seed = 1};
	char why[VETO_WHY_MAX];
	struct trace trace;
	int status = read_args(argc, argv, &args);

	if (status || !args.path)
		return status ? status : close_stdout("calibrate", EXIT_DONE);
	if (trace_read(args.path, &trace, why))
		return misused("calibrate", "%s", why);
	status = run(&args, &trace);
	trace_free(&trace);
	return close_stdout("calibrate", status);
}
