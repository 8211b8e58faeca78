/* SPDX-License-Identifier: Apache-2.0 */
/* veto calibrate: chooses a policy's free number so that its risk is at most alpha, as far as recorded questions can show. */
#include "calibration.h"
#include "cli.h"
#include "evaluation.h"
#include "json.h"
#include "random.h"
#include "settings.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"Usage: veto calibrate --policy P [OPTION]... -o FILE RECORDING...\n"
	"Chooses the free number of a policy, written key=?, so that with a chance of at least 1 - delta its risk on new questions\n"
	"like the recorded ones is at most alpha.\n\n"
	"      --policy P       a rejecting rule: floor with threshold=?, or gate or window-floor with keep=?\n"
	"      --select S       how the answer is chosen (default majority)\n"
	"      --risk R         candidate: the chance that a right candidate of a question is rejected (default); pooled: the share of\n"
	"                       all right candidates; answer: of questions that lose their right answer\n"
	"      --alpha A        the risk that is allowed (default 0.1)\n"
	"      --delta D        the chance that it is higher nevertheless (default 0.1)\n"
	"      --pvalue V       wsr (default) or hb\n"
	"      --head FILE      the rewards of this head, for scores that are called reward (veto head train)\n"
	"      --split F,C,T    shares of the questions for fit, calibrate and test, or a JSON file (default 0.3,0.5,0.2)\n"
	"      --as top-k:K     with what the K likeliest tokens tell only, as a server lists them\n"
	"      --seed S         of the split and of the order of questions (default 1)\n"
	"  -o, --output FILE    the policy, for --policy FILE\n"
	"      --json           what was found as one JSON object\n"
	"      --help           this text\n";

struct args {
	const char *policy, *select, *output, *as, *head_path;
	enum risk risk;
	struct calibration how;
	struct split split;
	bool is_json;
};

/* --- Arguments --- */

static int read_name(const char *option, const char *text, const char *const *names, int count, int *out)
{
	for (*out = 0; *out < count; ++*out)
		if (strcmp(names[*out], text) == 0)
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
		status = read_name("--risk", text, risk_names, RISKS, &index);
		args->risk = (enum risk)index;
		return status;
	case 'v':
		status = read_name("--pvalue", text, calibration_tests, CALIBRATION_TESTS, &index);
		args->how.test = (enum calibration_test)index;
		return status;
	case 'a':
		return read_share("--alpha", text, &args->how.alpha);
	case 'd':
		return read_share("--delta", text, &args->how.delta);
	case 'k':
		args->as = text;
		return EXIT_DONE;
	case 'g':
		args->head_path = text;
		return EXIT_DONE;
	case 'x':
		return split_read("calibrate", text, &args->split);
	case 'e':
		return split_read_seed("calibrate", text, &args->split);
	case 'o':
		args->output = text;
		return EXIT_DONE;
	default:
		args->is_json = true;
		return EXIT_DONE;
	}
}

static int read_args(int argc, char **argv, struct args *args, bool *wants_help)
{
	static const struct option options[] = {
		{"policy", required_argument, NULL, 'p'},
		{"select", required_argument, NULL, 's'},
		{"risk", required_argument, NULL, 'r'},
		{"alpha", required_argument, NULL, 'a'},
		{"delta", required_argument, NULL, 'd'},
		{"pvalue", required_argument, NULL, 'v'},
		{"head", required_argument, NULL, 'g'},
		{"split", required_argument, NULL, 'x'},
		{"as", required_argument, NULL, 'k'},
		{"seed", required_argument, NULL, 'e'},
		{"output", required_argument, NULL, 'o'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	static const struct command_options all = {"calibrate", help, ":o:h", options, read_option};
	const int status = read_options(&all, argc, argv, args, wants_help);

	if (status || *wants_help)
		return status;
	if (!args->policy || !args->output)
		return misused("calibrate", "--policy and -o are needed; see veto calibrate --help");
	if (check_output("calibrate", "-o", args->output, argc, argv))
		return EXIT_MISUSED;
	return args->split.text ? EXIT_DONE : split_read("calibrate", "0.3,0.5,0.2", &args->split);
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

/* An order of the questions that depends on the seed alone (Fisher and Yates). */
static void shuffle(uint32_t *order, uint32_t count, uint64_t seed)
{
	for (uint32_t i = 0; i < count; i++)
		order[i] = i;
	for (uint32_t i = count; i > 1; i--) {
		const uint32_t j = random_below(&seed, i), kept = order[i - 1];

		order[i - 1] = order[j];
		order[j] = kept;
	}
}

struct found {
	double *loss; /* [SETTINGS][units] */
	double p[SETTINGS];
	uint64_t saved[SETTINGS]; /* tokens */
	uint32_t units, chosen, tested, unlabelled;
};

/* Play every setting on the calibrate part.  Which questions count does not depend on the setting. */
static int find_losses(const struct args *args, const struct trace *trace, const enum part *part,
	const struct settings *list, struct found *found)
{
	uint32_t *order = calloc(trace->questions, sizeof(*order));
	size_t losses = 0;
	char why[VETO_WHY_MAX];
	int status = order ? EXIT_DONE : failed("calibrate", "out of memory");

	for (int i = 0; i < SETTINGS && !status; i++) {
		struct evaluation e;

		if (evaluation_make(trace, part, PART_CALIBRATE, &list->setting[i], &e, why)) {
			status = failed("calibrate", "--policy %s: %s", list->text[i], why);
			break;
		}
		found->unlabelled = e.unlabelled;
		if (i == 0)
			shuffle(order, (uint32_t)e.sums.questions, args->split.seed);
		for (uint32_t j = 0; j < e.sums.questions; j++) {
			const double loss = loss_of(args, &e.outcome[order[j]], trace->candidates);

			if (!isnan(loss))
				found->loss[losses++] = loss;
		}
		found->saved[i] = e.sums.full_tokens - e.sums.tokens;
		evaluation_free(&e);
	}
	found->units = (uint32_t)(losses / SETTINGS);
	free(order);
	return status;
}

static int calibrate(const struct args *args, const struct trace *trace, const enum part *part,
	const struct settings *list, struct found *found)
{
	const uint32_t needed = calibration_needed(&args->how);
	int status;

	found->loss = calloc((size_t)SETTINGS * trace->questions, sizeof(*found->loss));
	status = found->loss ? find_losses(args, trace, part, list, found) : failed("calibrate", "out of memory");
	if (status)
		return status;
	if (found->units < needed)
		return failed("calibrate",
			"the calibrate part has %u questions that count, and at alpha %g and delta %g at least %u are needed, 150 "
			"to 400 for settings that save much",
			found->units, args->how.alpha, args->how.delta, needed);
	found->chosen = calibration_choose(&args->how, found->loss, SETTINGS, found->units, found->p, &found->tested);
	if (found->saved[found->chosen] > 0)
		return EXIT_DONE;
	if (found->chosen == SETTINGS - 1)
		return failed("calibrate", "--policy %s: no setting of the list stops anything", args->policy);
	return failed("calibrate",
		"no setting of --policy %s that stops anything is certified: %s has p = %.4f, above delta %g; no policy is "
		"written",
		args->policy, list->text[found->tested - 1], found->p[found->tested - 1], args->how.delta);
}

/* --- The policy file --- */

/* What it was calibrated for; what the recording does not state is left out. */
static void write_usage(struct usage usage, bool has_head, FILE *out)
{
	for (int i = 0; i < USAGE_TEXTS; i++) {
		if (!usage.text[i] || i == USAGE_SELECT || (i == USAGE_HEAD && !has_head))
			continue;
		fprintf(out, ",\n\t\"calibrated_%s\": ", usage_names[i]);
		json_write_string(out, usage.text[i]);
	}
}

/* The rule's parameters as JSON members, and what it was calibrated for. */
static int write_policy(
	const struct args *args, const struct trace *trace, const struct settings *list, const struct found *found)
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
		"\"%s\",\n\t\"calibrated_units\": %u,\n\t\"calibrated_seed\": %" PRIu64 ",\n\t\"calibrated_select\": ",
		risk_names[args->risk], args->how.alpha, args->how.delta, calibration_tests[args->how.test],
		found->units, args->split.seed);
	json_write_string(out, args->select);
	fprintf(out,
		",\n\t\"calibrated_candidates\": %u,\n\t\"calibrated_cohort\": %u,\n\t\"calibrated_max_tokens\": %u",
		trace->candidates, trace->cohort, trace->max_tokens);
	write_usage(recorded_usage(trace), rule_reads_reward(&list->setting[found->chosen].rule[0]), out);
	fprintf(out, "\n}\n");
	return fclose(out) ? failed("calibrate", "can't write '%s': %m", args->output) : EXIT_DONE;
}

/* --- The report --- */

static void print_report(
	const struct args *args, const struct settings *list, const struct found *found, const struct evaluation *test)
{
	const char *chosen = list->text[found->chosen];
	const struct sums *s = &test->sums;
	const double saved = 1 - ratio((double)s->tokens, (double)s->full_tokens);

	if (!args->is_json) {
		printf("%s: %s\n  risk %s at most %g with a chance of %g, by %s over %u questions (%u settings of %d were tested)\n",
			args->output, chosen, risk_names[args->risk], args->how.alpha, 1 - args->how.delta,
			calibration_tests[args->how.test], found->units, found->tested, SETTINGS);
		if (found->chosen + 1 == SETTINGS)
			printf("  every setting passed: the list has none that is more aggressive\n");
		if (s->questions == 0)
			printf("  there is no test part to look at\n");
		else
			printf("  on the test part: %.1f %% of the tokens saved; risk %.4f (%.4f to %.4f) over %" PRIu64
			       " questions\n",
				100 * saved, risk_of(s, args->risk), test->low[args->risk], test->high[args->risk],
				s->questions);
		if (found->unlabelled + test->unlabelled > 0)
			printf("  %u questions without labels of all candidates are left out\n",
				found->unlabelled + test->unlabelled);
		return;
	}
	printf("{\"policy\":\"%s\",\"risk\":\"%s\",\"alpha\":%g,\"delta\":%g,\"pvalue\":\"%s\",\"units\":%u,\"chosen\":%u,\"tested\":%u,"
	       "\"p\":%.6g,\"saved\":%.6f",
		chosen, risk_names[args->risk], args->how.alpha, args->how.delta, calibration_tests[args->how.test],
		found->units, found->chosen, found->tested, found->p[found->chosen], saved);
	evaluation_print_risks(test);
	printf("}\n");
}

static int report(const struct args *args, const struct trace *trace, const enum part *part,
	const struct settings *list, const struct found *found)
{
	struct evaluation test;
	char why[VETO_WHY_MAX];
	int err = evaluation_make(trace, part, PART_TEST, &list->setting[found->chosen], &test, why);

	if (!err)
		err = evaluation_resample(&test, NULL, args->split.seed, why);
	if (!err)
		print_report(args, list, found, &test);
	evaluation_free(&test);
	return err ? failed("calibrate", "%s", why) : EXIT_DONE;
}

static int run(const struct args *args, const struct trace *trace)
{
	static struct settings list;
	struct found found = {.loss = NULL};
	int status;
	enum part *part = split_parts("calibrate", &args->split, trace, &status);

	for (int i = PART_CALIBRATE; i <= PART_TEST && !status; i++)
		status = recorded_check_part("calibrate", trace, part, (enum part)i);
	if (!status)
		status = settings_make("calibrate", args->policy, args->select, trace, part, &list);
	if (!status)
		status = calibrate(args, trace, part, &list, &found);
	if (!status)
		status = write_policy(args, trace, &list, &found);
	if (!status)
		status = report(args, trace, part, &list, &found);
	settings_free(&list);
	free(found.loss);
	free(part);
	return status;
}

int cmd_calibrate(int argc, char **argv)
{
	struct args args = {
		.select = "majority", .how = {.test = CALIBRATION_WSR, .alpha = 0.1, .delta = 0.1}, .split.seed = 1};
	struct trace trace;
	bool wants_help;
	int status = read_args(argc, argv, &args, &wants_help);

	if (status || wants_help)
		return status ? status : close_stdout("calibrate", EXIT_DONE);
	status = recorded_open("calibrate", argc, argv, args.as, args.head_path, &trace);
	if (status)
		return status;
	status = run(&args, &trace);
	trace_free(&trace);
	return close_stdout("calibrate", status);
}
