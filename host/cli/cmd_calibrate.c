/* SPDX-License-Identifier: Apache-2.0 */
/* veto calibrate: chooses a policy's free number so that its risk is at most alpha, as far as recorded questions can show. */
#include "calibration.h"
#include "evaluation.h"
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
	"      --policy P       rules, joined by ' + ' or in several options, that are in force together; one number is free: threshold=?\n"
	"                       of floor (found from the fit part), keep=?, or key=?FROM..TO, from what rejects least on\n"
	"      --select S       how the answer is chosen (default majority)\n"
	"      --risk R         candidate: the chance that a right candidate of a question is rejected (default); pooled: the share of\n"
	"                       all right candidates; answer: of questions that lose their right answer\n"
	"      --alpha A        the risk that is allowed (default 0.1)\n"
	"      --delta D        the chance that it is higher nevertheless (default 0.1)\n"
	"      --pvalue V       wsr (default) or hb\n"
	"      --lists K        so many policies are tried with these questions, to keep the best: each is tested at delta / K\n"
	"      --head FILE      the rewards of this head, for scores that are called reward (veto head train)\n"
	"      --split F,C,T    shares of the questions for fit, calibrate and test, or a JSON file (default 0.3,0.5,0.2)\n"
	"      --as top-k:K     with what the K likeliest tokens tell only, as a server lists them\n"
	"      --vocab N        tokens of the model, for entropy and self-certainty with --as, if the recording does not say\n"
	"      --cohort K       as if K candidates were written at a time (default: as recorded)\n"
	"      --seed S         of the split and of the order of questions (default 1)\n"
	"  -o, --output FILE    the policy, for --policy FILE\n"
	"      --json           what was found as one JSON object\n"
	"      --help           this text\n";

struct args {
	char *policy; /* all of them, joined */
	const char *select, *output;
	struct recorded_how recorded;
	enum risk risk;
	struct calibration how; /* delta: that of one list */
	double delta; /* of all lists */
	int64_t lists;
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

static int add_policy(const char *text, struct args *args)
{
	char *joined = NULL;
	const int length = asprintf(
		&joined, "%s%s%s", args->policy ? args->policy : "", args->policy ? VETO_RULES_JOINED : "", text);

	if (length < 0)
		return failed("calibrate", "out of memory");
	free(args->policy);
	args->policy = joined;
	return EXIT_DONE;
}

static int read_option(int option, char *text, void *arg)
{
	struct args *args = arg;
	int index, status;

	switch (option) {
	case 'p':
		return add_policy(text, args);
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
		return read_share("--delta", text, &args->delta);
	case 'l':
		return read_count("calibrate", "--lists", text, 1, 1000000, &args->lists);
	case 'x':
		return split_read("calibrate", text, &args->split);
	case 'e':
		return split_read_seed("calibrate", text, &args->split);
	case 'o':
		args->output = text;
		return EXIT_DONE;
	case 'j':
		args->is_json = true;
		return EXIT_DONE;
	default:
		return recorded_option("calibrate", option, text, &args->recorded);
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
		{"lists", required_argument, NULL, 'l'},
		{"split", required_argument, NULL, 'x'},
		RECORDED_OPTIONS,
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
	args->how.delta = args->delta / (double)args->lists;
	if (check_output("calibrate", "-o", args->output, argc, argv,
		    (const char *[]){args->policy, args->select, args->split.text, args->recorded.head_path}, 4))
		return EXIT_MISUSED;
	return args->split.text ? EXIT_DONE : split_read("calibrate", "0.3,0.5,0.2", &args->split);
}

/* --- The test --- */

/* The loss of a question, or NAN: it does not count for this risk. */
static double loss_of_question(const struct args *args, const struct outcome *o, uint32_t candidates)
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

/* The mean of its questions, which have the same text; NAN: it is no unit of this risk. */
static double loss_of(const struct args *args, const struct evaluation *e, uint32_t unit, uint32_t candidates)
{
	double sum = 0;
	uint32_t count = 0;

	for (uint32_t i = e->unit[unit]; i != NO_OUTCOME; i = e->next[i]) {
		const double loss = loss_of_question(args, &e->outcome[i], candidates);

		sum += isnan(loss) ? 0 : loss;
		count += !isnan(loss);
	}
	return count > 0 ? sum / count : NAN;
}

/* An order of the units that depends on the seed alone (Fisher and Yates). */
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
	double p[SETTINGS], risk[SETTINGS];
	uint64_t tokens[SETTINGS], full_tokens;
	uint32_t units, chosen, tested, unlabelled;
};

/* Play a setting on the calibrate part.  EXIT_FAILED, having said why. */
static int play(const struct trace *trace, const enum part *part, const struct setting *setting, struct evaluation *out)
{
	char why[VETO_WHY_MAX];

	return evaluation_make(trace, part, PART_CALIBRATE, setting, out, why)
		       ? failed("calibrate", "--policy %s: %s", setting->policy, why)
		       : EXIT_DONE;
}

/* Which questions count does not depend on the setting. */
static int find_losses(const struct args *args, const struct trace *trace, const enum part *part,
	const struct settings *list, struct found *found)
{
	uint32_t *order = calloc(trace->questions, sizeof(*order));
	size_t losses = 0;
	int status = order ? EXIT_DONE : failed("calibrate", "out of memory");

	for (int i = 0; i < SETTINGS && !status; i++) {
		struct evaluation e;

		say_progress("setting %d of %d", i + 1, SETTINGS);
		status = play(trace, part, &list->setting[i], &e);
		if (status)
			break;
		found->unlabelled = e.unlabelled;
		if (i == 0)
			shuffle(order, e.units, args->split.seed);
		for (uint32_t j = 0; j < e.units; j++) {
			const double loss = loss_of(args, &e, order[j], trace->candidates);

			if (!isnan(loss))
				found->loss[losses++] = loss;
		}
		found->tokens[i] = e.sums.tokens;
		found->risk[i] = risk_of(&e.sums, args->risk);
		found->full_tokens = e.sums.full_tokens;
		evaluation_free(&e);
	}
	end_progress();
	found->units = (uint32_t)(losses / SETTINGS);
	free(order);
	return status;
}

/* Of what a setting failed by. */
static int fail_uncertified(
	const struct args *args, const char *what, const struct settings *list, const struct found *found)
{
	const uint32_t last = found->tested - 1;
	char shared[64] = "";

	if (args->lists > 1)
		snprintf(shared, sizeof(shared), " / %" PRId64 " (--lists)", args->lists);
	return failed("calibrate",
		"no setting of --policy %s %sis certified: %s has p = %.4g, above delta %g%s; no policy is written",
		args->policy, what, list->text[last], found->p[last], args->delta, shared);
}

/* Whether the rule with the free number saves something, beyond what the others do. */
static int check_saving(const struct args *args, const struct trace *trace, const enum part *part,
	const struct settings *list, const struct found *found)
{
	struct setting others = list->setting[found->chosen];
	struct evaluation e;
	int status;

	others.rules--;
	memmove(&others.rule[list->free_rule], &others.rule[list->free_rule + 1],
		(others.rules - list->free_rule) * sizeof(*others.rule));
	status = play(trace, part, &others, &e);
	if (status)
		return status;
	if (e.sums.tokens > found->tokens[found->chosen])
		status = EXIT_DONE;
	else if (found->tested == SETTINGS)
		status = failed("calibrate", "--policy %s: no setting of the list saves anything", args->policy);
	else
		status = fail_uncertified(args, "that saves something ", list, found);
	evaluation_free(&e);
	return status;
}

static int calibrate(const struct args *args, const struct trace *trace, const enum part *part,
	const struct settings *list, struct found *found)
{
	const uint32_t needed = calibration_needed(&args->how);
	char left_out[64] = "";
	uint32_t passed;
	int status;

	found->loss = calloc((size_t)SETTINGS * trace->questions, sizeof(*found->loss));
	status = found->loss ? find_losses(args, trace, part, list, found) : failed("calibrate", "out of memory");
	if (status)
		return status;
	if (found->unlabelled > 0)
		snprintf(left_out, sizeof(left_out), " (%u lack labels of all candidates)", found->unlabelled);
	if (found->units < needed)
		return failed("calibrate",
			"the calibrate part has %u questions that count%s, and at alpha %g and delta %g at least %u are needed, 150 "
			"to 400 for settings that save much",
			found->units, left_out, args->how.alpha, args->how.delta, needed);
	passed = calibration_choose(&args->how, found->loss, SETTINGS, found->units, found->p, &found->tested);
	if (passed == 0)
		return fail_uncertified(args, "", list, found);
	found->chosen = passed - 1;
	return check_saving(args, trace, part, list, found);
}

static int write_policy(
	const struct args *args, const struct trace *trace, const struct settings *list, const struct found *found)
{
	const struct setting *setting = &list->setting[found->chosen];
	const struct calibrated how = {risk_names[args->risk], calibration_tests[args->how.test], args->how.alpha,
		args->delta, args->lists, found->units, args->split.seed};
	struct usage usage = recorded_usage(trace);

	usage.text[USAGE_SELECT] = args->select;
	usage.rule = setting->rule;
	usage.rules = setting->rules;
	return calibrated_write("calibrate", args->output, &usage, list->free_rule, &how);
}

/* --- The report --- */

static double saved_on_calibrate(const struct found *found, uint32_t setting)
{
	return 1 - ratio((double)found->tokens[setting], (double)found->full_tokens);
}

static void print_text(
	const struct args *args, const struct settings *list, const struct found *found, const struct evaluation *test)
{
	const struct sums *s = &test->sums;
	const uint32_t chosen = found->chosen;

	printf("%s: %s\n  risk %s at most %g with a chance of %g, by %s over %u questions (%u settings of %d were tested)\n",
		args->output, list->text[chosen], risk_names[args->risk], args->how.alpha, 1 - args->delta,
		calibration_tests[args->how.test], found->units, found->tested, SETTINGS);
	for (uint32_t i = chosen; i < found->tested; i++)
		printf("  %s: risk %.4f, p = %.4g, %.1f %% of the tokens saved%s%s\n",
			i == chosen ? "on the calibrate part" : "the next, which failed", found->risk[i], found->p[i],
			100 * saved_on_calibrate(found, i), i == chosen ? "" : ": ", i == chosen ? "" : list->text[i]);
	if (list->setting[chosen].rules > 2)
		printf("  the file holds the rule with the free number; it is used together with the others: --policy '%s + ...'\n",
			args->output);
	if (chosen + 1 == SETTINGS)
		printf("  every setting passed: the list has none that is more aggressive\n");
	if (s->questions == 0)
		printf("  there is no test part to look at\n");
	else
		printf("  on the test part: %.1f %% of the tokens saved; risk %.4f (%.4f to %.4f) over %" PRIu64
		       " questions\n",
			100 * estimate_of(s, SAVED), risk_of(s, args->risk), test->low[args->risk],
			test->high[args->risk], s->questions);
	if (found->unlabelled + test->unlabelled > 0)
		printf("  %u questions without labels of all candidates are left out\n",
			found->unlabelled + test->unlabelled);
}

static void print_json(
	const struct args *args, const struct settings *list, const struct found *found, const struct evaluation *test)
{
	printf("{\"policy\":");
	json_write_string(stdout, list->text[found->chosen]);
	printf(",\"risk\":\"%s\",\"alpha\":%g,\"delta\":%g,\"lists\":%" PRId64
	       ",\"pvalue\":\"%s\",\"units\":%u,\"chosen\":%u,\"tested\":%u,\"p\":%.6g,\"saved\":%.6f",
		risk_names[args->risk], args->how.alpha, args->delta, args->lists, calibration_tests[args->how.test],
		found->units, found->chosen, found->tested, found->p[found->chosen], estimate_of(&test->sums, SAVED));
	evaluation_print_risks(test);
	for (uint32_t i = 0; i < found->tested; i++) {
		printf("%s{\"policy\":", i ? "," : ",\"list\":[");
		json_write_string(stdout, list->text[i]);
		printf(",\"risk\":%.6f,\"p\":%.6g,\"saved\":%.6f}", found->risk[i], found->p[i],
			saved_on_calibrate(found, i));
	}
	printf("]}\n");
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
		(args->is_json ? print_json : print_text)(args, list, found, &test);
	evaluation_free(&test);
	return err ? failed("calibrate", "%s", why) : EXIT_DONE;
}

#define BEYOND 3 /* alphas: up to such a risk settings are worth a test */

static int run(const struct args *args, const struct trace *trace)
{
	/* Answers stand many rejections. */
	const double most = args->risk == RISK_ANSWER ? 1 : fmin(1, BEYOND * args->how.alpha);
	static struct settings list;
	struct found found = {.loss = NULL};
	char why[VETO_WHY_MAX];
	int status;
	enum part *part = split_parts("calibrate", &args->split, trace, &status);

	for (int i = PART_CALIBRATE; i <= PART_TEST && !status; i++)
		status = recorded_check_part("calibrate", trace, part, (enum part)i);
	if (!status)
		status = settings_make("calibrate", args->policy, args->select, trace, part, most, &list);
	if (!status && recorded_is_unchecked(trace, list.setting[0].rule, list.setting[0].rules, why))
		status = misused("calibrate", "--policy %s: %s", args->policy, why);
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
	struct args args = {.select = "majority",
		.how = {.test = CALIBRATION_WSR, .alpha = 0.1},
		.delta = 0.1,
		.lists = 1,
		.split.seed = 1};
	struct trace trace;
	bool wants_help;
	int status = read_args(argc, argv, &args, &wants_help);

	if (!status && !wants_help)
		status = recorded_open("calibrate", argc, argv, &args.recorded, &trace);
	if (!status && !wants_help) {
		status = run(&args, &trace);
		trace_free(&trace);
	}
	free(args.policy);
	return close_stdout("calibrate", status);
}
