/* SPDX-License-Identifier: Apache-2.0 */
/* veto evaluate: what policies would have done with recorded candidates. */
#include "cli.h"
#include "evaluate_report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"Usage: veto evaluate [OPTION]... RECORDING...\n"
	"Plays recorded candidates through policies in lockstep, as if they were live, and prints what that costs and saves.\n\n"
	"      --policy P       a rule that rejects or stops (veto policies), or several joined by ' + '; may be repeated: each is\n"
	"                       played for itself\n"
	"      --select S       how the answer is chosen (default majority); may be repeated: each is combined with each policy\n"
	"      --head FILE      the rewards of this head, for scores that are called reward (veto head train)\n"
	"      --split F,C,T    shares of the questions that are for fit, calibrate and test, by a hash of the question's text; or\n"
	"                       a JSON file: {question: \"fit\", \"calibrate\" or \"test\"}\n"
	"      --part PART      fit, calibrate or test: only those questions (with --split)\n"
	"      --as top-k:K     with what the K likeliest tokens tell only, as a server lists them\n"
	"      --vocab N        tokens of the model, for entropy and self-certainty with --as, if the recording does not say\n"
	"      --cohort K       as if K candidates were written at a time (default: as recorded)\n"
	"      --seed S         of the split's hash and of the intervals (default 1)\n"
	"      --report FILE    the same as a page of tables and plots in HTML, beside what a length cap, random rejection and an\n"
	"                       oracle would do\n"
	"      --json           one JSON object a policy and selector\n"
	"      --help           this text\n";

struct args {
	const char *policy[SETTINGS_MAX], *select[SETTINGS_MAX], *report, *const *path;
	struct recorded_how recorded;
	uint32_t paths;
	uint32_t policies, selects;
	struct split split;
	bool is_json;
	enum part part; /* PARTS: all */
};

static int read_part(const char *text, struct args *args)
{
	args->part = part_find(text);
	return args->part < PARTS ? EXIT_DONE
				  : misused("evaluate", "--part '%s': expected fit, calibrate or test", text);
}

static int add_text(const char *option, const char *text, const char *list[SETTINGS_MAX], uint32_t *count)
{
	if (*count == SETTINGS_MAX)
		return misused("evaluate", "%s: more than %d", option, SETTINGS_MAX);
	list[(*count)++] = text;
	return EXIT_DONE;
}

static int read_option(int option, char *text, void *arg)
{
	struct args *args = arg;

	switch (option) {
	case 'p':
		return add_text("--policy", text, args->policy, &args->policies);
	case 's':
		return add_text("--select", text, args->select, &args->selects);
	case 'x':
		return split_read("evaluate", text, &args->split);
	case 'a':
		return read_part(text, args);
	case 'd':
		return split_read_seed("evaluate", text, &args->split);
	case 'r':
		args->report = text;
		return EXIT_DONE;
	case 'j':
		args->is_json = true;
		return EXIT_DONE;
	default:
		return recorded_option("evaluate", option, text, &args->recorded);
	}
}

static int read_args(int argc, char **argv, struct args *args, bool *wants_help)
{
	static const struct option options[] = {
		{"policy", required_argument, NULL, 'p'},
		{"select", required_argument, NULL, 's'},
		{"split", required_argument, NULL, 'x'},
		RECORDED_OPTIONS,
		{"part", required_argument, NULL, 'a'},
		{"seed", required_argument, NULL, 'd'},
		{"report", required_argument, NULL, 'r'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	static const struct command_options all = {"evaluate", help, ":h", options, read_option};
	const int status = read_options(&all, argc, argv, args, wants_help);

	if (status || *wants_help)
		return status;
	if (args->part < PARTS && !args->split.text)
		return misused("evaluate", "--part needs --split");
	if (check_output("evaluate", "--report", args->report, argc, argv,
		    (const char *[]){args->split.text, args->recorded.head_path}, 2) ||
		check_output("evaluate", "--report", args->report, argc, argv, args->policy, args->policies) ||
		check_output("evaluate", "--report", args->report, argc, argv, args->select, args->selects))
		return EXIT_MISUSED;
	args->path = (const char *const *)argv + optind;
	args->paths = (uint32_t)(argc - optind);
	if (args->selects == 0)
		args->select[args->selects++] = "majority";
	return EXIT_DONE;
}

static void print_json(const struct evaluated *v, uint32_t i)
{
	const struct setting *setting = &v->setting[i];
	const struct evaluation *e = &v->evaluation[i];
	const struct sums *s = &e->sums;
	char rules[VETO_RULES_MAX * 512];

	setting_print(setting, rules, sizeof(rules));
	printf("{\"policy\":\"%s\",\"select\":\"%s\"", rules, setting->rule[setting->rules - 1].policy->name);
	printf(",\"questions\":%" PRIu64 ",\"unlabelled\":%u,\"candidates\":%" PRIu64 ",\"tokens_full\":%" PRIu64
	       ",\"tokens_used\":%" PRIu64
	       ",\"saved\":%.6f,\"latency_tokens\":%.3f,\"accuracy_full\":%.6f,\"accuracy\":%.6f,"
	       "\"right\":%" PRIu64 ",\"right_rejected\":%" PRIu64,
		s->questions, e->unlabelled, s->questions * v->trace->candidates, s->full_tokens, s->tokens,
		estimate_of(s, SAVED), ratio((double)s->rounds, (double)s->questions),
		ratio((double)s->full_right, (double)s->questions), ratio((double)s->is_right, (double)s->questions),
		s->right, s->right_rejected);
	evaluation_print_risks(e);
	comparison_print_json(&v->comparison[i], e, &v->baselines);
	printf("}\n");
}

static void print_text(const struct evaluated *v, uint32_t i)
{
	const struct evaluation *e = &v->evaluation[i];
	const struct sums *s = &e->sums;

	printf("%s, %s\n", v->setting[i].policy, v->setting[i].select);
	printf("  tokens      %" PRIu64 " of %" PRIu64 ", %.1f %% saved; the longest chain %.1f a question\n",
		s->tokens, s->full_tokens, 100 * estimate_of(s, SAVED), ratio((double)s->rounds, (double)s->questions));
	printf("  accuracy    %.1f %%, without the policy %.1f %%\n",
		100 * ratio((double)s->is_right, (double)s->questions),
		100 * ratio((double)s->full_right, (double)s->questions));
	if (e->unlabelled > 0)
		printf("  left out    %u questions without labels of all candidates\n", e->unlabelled);
	printf("  rejected    %" PRIu64 " of %" PRIu64 " right candidates\n", s->right_rejected, s->right);
	for (int r = 0; r < RISKS; r++)
		printf("  %-11s %.4f (%.4f to %.4f)\n", risk_names[r], risk_of(s, (enum risk)r), e->low[r], e->high[r]);
	comparison_print_text(&v->comparison[i], e, &v->baselines);
}

/* Play every setting, and compare it with the first policy. */
static int play_settings(struct evaluated *v)
{
	const enum part *part = v->wanted == PARTS ? NULL : v->part;
	char why[VETO_WHY_MAX];

	for (uint32_t i = 0; i < v->count; i++) {
		const bool has_reference = v->count > v->selects;
		int err;

		say_progress("policy %u of %u", i / v->selects, v->count / v->selects - 1);
		err = evaluation_make(v->trace, part, v->wanted, &v->setting[i], &v->evaluation[i], why);

		if (!err && v->evaluation[i].sums.questions == 0)
			return failed("evaluate", "%s%s has no question whose candidates all have \"correct\"",
				v->wanted == PARTS ? "the recording" : part_names[v->wanted],
				v->wanted == PARTS ? "" : " part");
		if (!err && i == 0)
			err = baselines_make(v->trace, &v->evaluation[0], &v->baselines, why);
		if (err)
			return failed("evaluate", "--policy %s: %s", v->setting[i].policy, why);
		comparison_make(v->trace, v->part, &v->setting[i], &v->evaluation[i], &v->baselines, has_reference,
			&v->comparison[i]);
	}
	for (uint32_t i = 0; i < v->count; i++) {
		const uint32_t reference = v->selects + i % v->selects;

		if (evaluation_resample(
			    &v->evaluation[i], reference < v->count ? &v->evaluation[reference] : NULL, v->seed, why))
			return failed("evaluate", "%s", why);
	}
	end_progress();
	return EXIT_DONE;
}

/* Every combination, the one without a policy first; all are checked before one is played. */
static int read_settings(const struct args *args, struct evaluated *v)
{
	int status = v->setting && v->evaluation && v->comparison ? EXIT_DONE : failed("evaluate", "out of memory");

	for (uint32_t i = 0; i < v->count && !status; i++)
		status = setting_read("evaluate", i < v->selects ? "none" : args->policy[i / v->selects - 1],
			args->select[i % v->selects], v->trace, &v->setting[i]);
	return status;
}

static int open_report(const struct args *args, struct report *out)
{
	return args->report ? report_open("evaluate", args->report, out) : EXIT_DONE;
}

static int write_report(const struct evaluated *v, struct report *report)
{
	char why[VETO_WHY_MAX];

	if (!report->out)
		return EXIT_DONE;
	return evaluate_report(report, v, why) ? failed("evaluate", "%s", why) : EXIT_DONE;
}

/* Questions that a head has learned from flatter it. */
static void warn_learned(const struct evaluated *v)
{
	const struct trace *trace = v->trace;
	char why[VETO_WHY_MAX];
	uint32_t learned = 0;

	for (uint32_t i = 0; i < v->count; i++)
		if (recorded_is_unchecked(trace, v->setting[i].rule, v->setting[i].rules, why)) {
			say("evaluate", "warning: %s", why);
			break;
		}
	for (uint32_t i = 0; i < trace->questions; i++)
		learned += trace->question[i].is_learned && (!v->part || v->wanted == PARTS || v->part[i] == v->wanted);
	if (learned > 0)
		say("evaluate", "warning: the head has learned from %u of these questions: see --split and --part",
			learned);
}

static int play_all(const struct args *args, const struct trace *trace)
{
	const uint32_t count = (args->policies + 1) * args->selects;
	struct evaluated v = {.trace = trace,
		.wanted = args->part,
		.path = args->path,
		.paths = args->paths,
		.split = args->split.text,
		.seed = args->split.seed,
		.count = count,
		.selects = args->selects,
		.setting = calloc(count, sizeof(*v.setting)),
		.evaluation = calloc(count, sizeof(*v.evaluation)),
		.comparison = calloc(count, sizeof(*v.comparison))};
	struct report report = {.out = NULL};
	int status;
	enum part *part = split_parts("evaluate", &args->split, trace, &status);

	v.part = part;
	if (!status && part && args->part != PARTS && args->part != PART_FIT)
		status = recorded_check_part("evaluate", trace, part, args->part);
	if (!status)
		status = read_settings(args, &v);
	if (!status)
		warn_learned(&v);
	if (!status)
		status = open_report(args, &report);
	if (!status)
		status = play_settings(&v);
	if (!status)
		status = write_report(&v, &report);
	if (report_close("evaluate", &report, !status))
		status = EXIT_FAILED;
	for (uint32_t i = 0; i < count && !status; i++)
		args->is_json ? print_json(&v, i) : print_text(&v, i);
	for (uint32_t i = 0; i < count && v.evaluation; i++)
		evaluation_free(&v.evaluation[i]);
	free(part);
	free(v.setting);
	free(v.evaluation);
	free(v.comparison);
	return status;
}

int cmd_evaluate(int argc, char **argv)
{
	struct args args = {.part = PARTS, .split.seed = 1};
	struct trace trace;
	bool wants_help;
	int status = read_args(argc, argv, &args, &wants_help);

	if (status || wants_help)
		return status ? status : close_stdout("evaluate", EXIT_DONE);
	status = recorded_open("evaluate", argc, argv, &args.recorded, &trace);
	if (status)
		return status;
	status = play_all(&args, &trace);
	trace_free(&trace);
	return close_stdout("evaluate", status);
}
