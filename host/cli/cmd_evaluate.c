/* SPDX-License-Identifier: Apache-2.0 */
/* veto evaluate: what policies would have done with recorded candidates. */
#include "cli.h"
#include "evaluation.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SETTINGS_MAX 64

static const char help[] =
	"Usage: veto evaluate [OPTION]... TRACE\n"
	"Plays recorded candidates through policies in lockstep, as if they were live, and prints what that costs and saves.\n\n"
	"      --policy P       a rule that rejects or stops (veto policies), or several joined by ' + '; may be repeated: each is\n"
	"                       played for itself\n"
	"      --select S       how the answer is chosen (default majority); may be repeated: each is combined with each policy\n"
	"      --split F,C,T    shares of the questions that are for fit, calibrate and test, by a hash of the question's text; or\n"
	"                       a JSON file: {question: \"fit\", \"calibrate\" or \"test\"}\n"
	"      --part PART      fit, calibrate or test: only those questions (with --split)\n"
	"      --seed S         of the split's hash and of the intervals (default 1)\n"
	"      --json           one JSON object a policy and selector\n"
	"      --help           this text\n";

struct args {
	const char *policy[SETTINGS_MAX], *select[SETTINGS_MAX], *path;
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
	int64_t seed;

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
		if (read_count("evaluate", "--seed", text, 0, INT64_MAX, &seed))
			return EXIT_MISUSED;
		args->split.seed = (uint64_t)seed;
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
		{"split", required_argument, NULL, 'x'},
		{"part", required_argument, NULL, 'a'},
		{"seed", required_argument, NULL, 'd'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	static const struct command_options all = {"evaluate", help, ":h", options, read_option};
	bool wants_help;
	const int status = read_options(&all, argc, argv, args, &wants_help);

	if (status || wants_help)
		return status;
	if (optind == argc)
		return misused("evaluate", "a TRACE is needed; see veto evaluate --help");
	if (optind + 1 < argc)
		return misused("evaluate", "unexpected argument '%s'", argv[optind + 1]);
	if (args->part < PARTS && !args->split.text)
		return misused("evaluate", "--part needs --split");
	args->path = argv[optind];
	if (args->selects == 0)
		args->select[args->selects++] = "majority";
	return EXIT_DONE;
}

static void print_json(const struct setting *setting, const struct evaluation *e, uint32_t candidates)
{
	const struct sums *s = &e->sums;
	char rules[VETO_RULES_MAX * 512] = "none";
	size_t used = 0;

	for (uint32_t i = 0; i + 1 < setting->rules && used < sizeof(rules); i++) {
		used += (size_t)snprintf(rules + used, sizeof(rules) - used, "%s", i ? RULES_JOINED : "");
		used += (size_t)veto_rule_print(&setting->rule[i], rules + used, sizeof(rules) - used);
	}
	printf("{\"policy\":\"%s\",\"select\":\"%s\"", rules, setting->rule[setting->rules - 1].policy->name);
	printf(",\"questions\":%" PRIu64 ",\"unlabelled\":%u,\"candidates\":%" PRIu64 ",\"tokens_full\":%" PRIu64
	       ",\"tokens_used\":%" PRIu64
	       ",\"saved\":%.6f,\"latency_tokens\":%.3f,\"accuracy_full\":%.6f,\"accuracy\":%.6f,"
	       "\"right\":%" PRIu64 ",\"right_rejected\":%" PRIu64,
		s->questions, e->unlabelled, s->questions * candidates, s->full_tokens, s->tokens,
		1 - ratio((double)s->tokens, (double)s->full_tokens), ratio((double)s->rounds, (double)s->questions),
		ratio((double)s->full_right, (double)s->questions), ratio((double)s->is_right, (double)s->questions),
		s->right, s->right_rejected);
	evaluation_print_risks(e);
	printf("}\n");
}

static void print_text(const struct setting *setting, const struct evaluation *e)
{
	const struct sums *s = &e->sums;

	printf("%s, %s\n", setting->policy, setting->select);
	printf("  tokens      %" PRIu64 " of %" PRIu64 ", %.1f %% saved; the longest chain %.1f a question\n",
		s->tokens, s->full_tokens, 100 - 100 * ratio((double)s->tokens, (double)s->full_tokens),
		ratio((double)s->rounds, (double)s->questions));
	printf("  accuracy    %.1f %%, without the policy %.1f %%\n",
		100 * ratio((double)s->is_right, (double)s->questions),
		100 * ratio((double)s->full_right, (double)s->questions));
	printf("  rejected    %" PRIu64 " of %" PRIu64 " right candidates\n", s->right_rejected, s->right);
	for (int r = 0; r < RISKS; r++)
		printf("  %-11s %.4f (%.4f to %.4f)\n", risk_names[r], risk_of(s, (enum risk)r), e->low[r], e->high[r]);
}

static int play_setting(
	const struct args *args, const struct trace *trace, const enum part *part, const struct setting *setting)
{
	struct evaluation e;
	char why[VETO_WHY_MAX];
	int err = evaluation_make(trace, args->part == PARTS ? NULL : part, args->part, setting, &e, why);

	if (!err)
		err = evaluation_resample(&e, NULL, args->split.seed, why);
	if (!err && args->is_json)
		print_json(setting, &e, trace->candidates);
	else if (!err)
		print_text(setting, &e);
	evaluation_free(&e);
	return err ? failed("evaluate", "--policy %s: %s", setting->policy, why) : EXIT_DONE;
}

/* Every combination, the one without a policy first; all are checked before one is played. */
static int play_all(const struct args *args, const struct trace *trace)
{
	const uint32_t count = (args->policies + 1) * args->selects;
	struct setting *setting = calloc(count, sizeof(*setting));
	int status;
	enum part *part = split_parts("evaluate", &args->split, trace, &status);

	if (!status && !setting)
		status = failed("evaluate", "out of memory");
	for (uint32_t i = 0; i < count && !status; i++)
		status = setting_read("evaluate", i < args->selects ? "none" : args->policy[i / args->selects - 1],
			args->select[i % args->selects], trace, &setting[i]);
	for (uint32_t i = 0; i < count && !status; i++)
		status = play_setting(args, trace, part, &setting[i]);
	free(part);
	free(setting);
	return status;
}

int cmd_evaluate(int argc, char **argv)
{
	struct args args = {.part = PARTS, .split.seed = 1};
	char why[VETO_WHY_MAX];
	struct trace trace;
	int status = read_args(argc, argv, &args);

	if (status || !args.path)
		return status ? status : close_stdout("evaluate", EXIT_DONE);
	if (trace_read(args.path, &trace, why))
		return misused("evaluate", "%s", why);
	status = play_all(&args, &trace);
	trace_free(&trace);
	return close_stdout("evaluate", status);
}
