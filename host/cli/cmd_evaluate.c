/* SPDX-License-Identifier: Apache-2.0 */
/* veto evaluate: what policies would have done with recorded candidates. */
#include "cli.h"
#include "hash.h"
#include "json.h"
#include "map.h"
#include "recorded.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTINGS_MAX 64
#define RESAMPLES 2000 /* of the bootstrap over questions */
#define TAIL 0.025 /* of an interval of 95 %, each way */
#define JOINED " + "

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

/* Rules that are played together, the selecting one behind them. */
struct setting {
	const char *policy, *select;
	struct veto_rule rule[VETO_RULES_MAX];
	uint32_t rules;
};

enum part { PART_FIT, PART_CALIBRATE, PART_TEST, PARTS };
static const char *const part_names[PARTS] = {"fit", "calibrate", "test"};

struct args {
	const char *policy[SETTINGS_MAX], *select[SETTINGS_MAX], *path;
	uint32_t policies, selects;
	const char *split; /* NULL: none */
	double share[PARTS]; /* 0: split is a file */
	bool is_json;
	int part; /* enum part, or -1: all */
	uint64_t seed;
};

/* What a question gave without the policy and with it. */
struct outcome {
	struct played full, played;
	bool is_labelled;
};

static int read_split(const char *text, struct args *args)
{
	double sum = 0;
	int end = 0;

	args->split = text;
	if (sscanf(text, "%lf,%lf,%lf%n", &args->share[0], &args->share[1], &args->share[2], &end) != 3 || text[end]) {
		memset(args->share, 0, sizeof(args->share));
		return access(text, R_OK) == 0
			       ? EXIT_DONE
			       : misused("evaluate",
					 "--split '%s': neither three shares, such as 0.3,0.4,0.3, nor a file", text);
	}
	for (int i = 0; i < PARTS; i++) {
		if (!(args->share[i] >= 0 && args->share[i] <= 1e6))
			return misused("evaluate", "--split '%s': a share is no number from 0 on", text);
		sum += args->share[i];
	}
	if (!(sum > 0))
		return misused("evaluate", "--split '%s': all shares are 0", text);
	for (int i = 0; i < PARTS; i++)
		args->share[i] /= sum;
	return EXIT_DONE;
}

/* PARTS: none. */
static enum part find_part(const char *text)
{
	int part = 0;

	while (part < PARTS && strcmp(text, part_names[part]) != 0)
		part++;
	return (enum part)part;
}

static int read_part(const char *text, struct args *args)
{
	args->part = find_part(text);
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

static int read_option(int option, const char *text, struct args *args)
{
	int64_t seed;

	switch (option) {
	case 'p':
		return add_text("--policy", text, args->policy, &args->policies);
	case 's':
		return add_text("--select", text, args->select, &args->selects);
	case 'x':
		return read_split(text, args);
	case 'a':
		return read_part(text, args);
	case 'd':
		if (read_count("evaluate", "--seed", text, 0, INT64_MAX, &seed))
			return EXIT_MISUSED;
		args->seed = (uint64_t)seed;
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
	int option;

	while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return EXIT_DONE;
		}
		if (option == '?' || option == ':')
			return bad_option("evaluate", argc, argv, option);
		if (read_option(option, optarg, args))
			return EXIT_MISUSED;
	}
	if (optind == argc)
		return misused("evaluate", "a TRACE is needed; see veto evaluate --help");
	if (optind + 1 < argc)
		return misused("evaluate", "unexpected argument '%s'", argv[optind + 1]);
	if (args->part >= 0 && !args->split)
		return misused("evaluate", "--part needs --split");
	args->path = argv[optind];
	if (args->selects == 0)
		args->select[args->selects++] = "majority";
	return EXIT_DONE;
}

/* The rules of a policy, "none" or joined by JOINED, and the selector. */
static int read_setting(const char *policy, const char *select, struct setting *out)
{
	char *texts = strdup(policy), *text = texts;
	int status = texts ? EXIT_DONE : failed("evaluate", "out of memory");

	*out = (struct setting){.policy = policy, .select = select};
	while (!status && text && strcmp(policy, "none") != 0) {
		char *end = strstr(text, JOINED);

		if (end)
			*end = 0;
		if (out->rules == VETO_RULES_MAX - 1)
			status = misused("evaluate", "--policy %s: more than %d rules", policy, VETO_RULES_MAX - 1);
		else
			status = read_rule("evaluate", "--policy", text, false, &out->rule[out->rules++]);
		text = end ? end + strlen(JOINED) : NULL;
	}
	free(texts);
	return status ? status : read_rule("evaluate", "--select", select, true, &out->rule[out->rules++]);
}

/* --- Parts --- */

/* By the shares. */
static enum part draw_part(const struct args *args, const struct trace_question *q)
{
	const uint64_t hash =
		hash_bytes(hash_bytes(HASH_START, &args->seed, sizeof(args->seed)), &q->text, sizeof(q->text));
	const double at = (double)((hash * 0x9e3779b97f4a7c15u) >> 11) / 0x1p53;

	return at < args->share[0] ? PART_FIT : at < args->share[0] + args->share[1] ? PART_CALIBRATE : PART_TEST;
}

struct parts {
	const struct trace *trace;
	enum part *part; /* [questions]; PARTS: in none */
};

static int take_part(void *arg, const char *key, const char *value, char *why)
{
	struct parts *p = arg;
	const enum part part = find_part(value);

	if (part == PARTS)
		return param_fail(-EINVAL, why, "\"%s\": '%s' is not fit, calibrate or test", key, value);
	for (uint32_t i = 0; i < p->trace->questions; i++)
		if (strcmp(p->trace->question[i].id, key) == 0)
			p->part[i] = part;
	return 0;
}

/* From the file that --split names. */
static int read_parts(const char *path, struct parts *p)
{
	struct json_source source = {.file = path, .first_line = 1};
	char why[VETO_WHY_MAX];
	struct map map;
	int err = map_open(path, &map, why);

	if (!err) {
		source.text = map.data;
		source.bytes = map.bytes;
		err = json_object(&source, take_part, p, why);
		map_close(&map);
	}
	return err ? misused("evaluate", "--split: %s", why) : EXIT_DONE;
}

/* The part of every question, to be freed; NULL with *status EXIT_DONE: there is no split. */
static enum part *find_parts(const struct args *args, const struct trace *trace, int *status)
{
	struct parts p = {trace, args->split ? malloc(trace->questions * sizeof(*p.part)) : NULL};

	*status = args->split && !p.part ? failed("evaluate", "out of memory") : EXIT_DONE;
	for (uint32_t i = 0; p.part && i < trace->questions; i++)
		p.part[i] = args->share[0] + args->share[1] + args->share[2] > 0 ? draw_part(args, &trace->question[i])
										 : PARTS;
	if (p.part && args->share[0] + args->share[1] + args->share[2] <= 0)
		*status = read_parts(args->split, &p);
	return p.part;
}

static bool is_labelled(const struct trace *trace, const struct trace_question *q)
{
	for (uint32_t i = 0; i < trace->candidates; i++)
		if (!q->candidate[i].is_labelled)
			return false;
	return true;
}

/* --- Sums --- */

struct sums {
	uint64_t questions, full_tokens, tokens, rounds, full_right, is_right, right, right_rejected, answerable;
	double lost_shares; /* of right candidates, over the answerable questions */
	uint64_t lost_answers; /* right without the policy, and not with it */
};

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
}

static double ratio(double a, double b) { return b > 0 ? a / b : 0; }

enum risk { RISK_CANDIDATE, RISK_POOLED, RISK_ANSWER, RISKS };
static const char *const risk_names[RISKS] = {"risk_candidate", "risk_pooled", "risk_answer"};

static double risk_of(const struct sums *s, enum risk risk)
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

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Intervals by resampling questions; low and high: [RISKS]. */
static int find_intervals(const struct outcome *o, uint32_t questions, uint64_t seed, double *low, double *high)
{
	double *drawn[RISKS];
	const size_t tail = (size_t)(TAIL * RESAMPLES);
	bool is_there = true;

	for (int r = 0; r < RISKS; r++) {
		drawn[r] = calloc(RESAMPLES, sizeof(**drawn));
		is_there &= drawn[r] != NULL;
	}
	for (uint32_t i = 0; i < RESAMPLES && is_there; i++) {
		struct sums s = {0};

		for (uint32_t j = 0; j < questions; j++) {
			/* Steele, Lea and Flood's splitmix64. */
			uint64_t z = seed += 0x9e3779b97f4a7c15u;

			z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
			z = (z ^ z >> 27) * 0x94d049bb133111ebu;
			add_outcome(&s, &o[(uint64_t)((unsigned __int128)(z ^ z >> 31) * questions >> 64)]);
		}
		for (int r = 0; r < RISKS; r++)
			drawn[r][i] = risk_of(&s, (enum risk)r);
	}
	for (int r = 0; r < RISKS; r++) {
		if (is_there) {
			qsort(drawn[r], RESAMPLES, sizeof(**drawn), by_value);
			low[r] = drawn[r][tail];
			high[r] = drawn[r][RESAMPLES - 1 - tail];
		}
		free(drawn[r]);
	}
	return is_there ? 0 : -ENOMEM;
}

/* --- The command --- */

static void print_json(const struct setting *setting, const struct sums *s, uint32_t candidates, uint32_t unlabelled,
	const double *low, const double *high)
{
	char rules[VETO_RULES_MAX * 512] = "none";
	size_t used = 0;

	for (uint32_t i = 0; i + 1 < setting->rules && used < sizeof(rules); i++) {
		used += (size_t)snprintf(rules + used, sizeof(rules) - used, "%s", i ? JOINED : "");
		used += (size_t)veto_rule_print(&setting->rule[i], rules + used, sizeof(rules) - used);
	}
	printf("{\"policy\":\"%s\",\"select\":\"%s\"", rules, setting->rule[setting->rules - 1].policy->name);
	printf(",\"questions\":%" PRIu64 ",\"unlabelled\":%u,\"candidates\":%" PRIu64 ",\"tokens_full\":%" PRIu64
	       ",\"tokens_used\":%" PRIu64
	       ",\"saved\":%.6f,\"latency_tokens\":%.3f,\"accuracy_full\":%.6f,\"accuracy\":%.6f,"
	       "\"right\":%" PRIu64 ",\"right_rejected\":%" PRIu64,
		s->questions, unlabelled, s->questions * candidates, s->full_tokens, s->tokens,
		1 - ratio((double)s->tokens, (double)s->full_tokens), ratio((double)s->rounds, (double)s->questions),
		ratio((double)s->full_right, (double)s->questions), ratio((double)s->is_right, (double)s->questions),
		s->right, s->right_rejected);
	for (int r = 0; r < RISKS; r++)
		printf(",\"%s\":%.6f,\"%s_low\":%.6f,\"%s_high\":%.6f", risk_names[r], risk_of(s, (enum risk)r),
			risk_names[r], low[r], risk_names[r], high[r]);
	printf("}\n");
}

static void print_text(const struct setting *setting, const struct sums *s, const double *low, const double *high)
{
	printf("%s, %s\n", setting->policy, setting->select);
	printf("  tokens      %" PRIu64 " of %" PRIu64 ", %.1f %% saved; the longest chain %.1f a question\n",
		s->tokens, s->full_tokens, 100 - 100 * ratio((double)s->tokens, (double)s->full_tokens),
		ratio((double)s->rounds, (double)s->questions));
	printf("  accuracy    %.1f %%, without the policy %.1f %%\n",
		100 * ratio((double)s->is_right, (double)s->questions),
		100 * ratio((double)s->full_right, (double)s->questions));
	printf("  rejected    %" PRIu64 " of %" PRIu64 " right candidates\n", s->right_rejected, s->right);
	for (int r = 0; r < RISKS; r++)
		printf("  %-11s %.4f (%.4f to %.4f)\n", risk_names[r] + strlen("risk_"), risk_of(s, (enum risk)r),
			low[r], high[r]);
}

/* Play a setting whose rules recorded_check() has found good, and print what came of it. */
static int play_setting(
	const struct args *args, const struct trace *trace, const enum part *part, const struct setting *setting)
{
	struct outcome *outcome = calloc(trace->questions, sizeof(*outcome));
	uint32_t questions = 0, unlabelled = 0;
	double low[RISKS] = {0}, high[RISKS] = {0};
	char why[VETO_WHY_MAX];
	struct sums sums = {0};
	int err = outcome ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < trace->questions && !err; i++) {
		const struct trace_question *q = &trace->question[i];
		struct outcome *o = &outcome[questions];

		if (args->part >= 0 && part[i] != (enum part)args->part)
			continue;
		if (!is_labelled(trace, q)) {
			unlabelled++;
			continue;
		}
		err = recorded_play(trace, q, &setting->rule[setting->rules - 1], 1, &o->full, why);
		if (!err)
			err = recorded_play(trace, q, setting->rule, setting->rules, &o->played, why);
		if (!err)
			add_outcome(&sums, o);
		questions++;
	}
	if (!err)
		err = find_intervals(outcome, questions, args->seed, low, high);
	if (!err && args->is_json)
		print_json(setting, &sums, trace->candidates, unlabelled, low, high);
	else if (!err)
		print_text(setting, &sums, low, high);
	free(outcome);
	if (err == -ENOMEM)
		return failed("evaluate", "out of memory");
	return err ? failed("evaluate", "--policy %s: %s", setting->policy, why) : EXIT_DONE;
}

static int prepare(const struct trace *trace, const char *policy, const char *select, struct setting *out)
{
	char why[VETO_WHY_MAX];
	int status = read_setting(policy, select, out);

	if (!status && recorded_check(trace, out->rule, out->rules, why))
		status = misused("evaluate", "--policy %s, --select %s: %s", policy, select, why);
	return status;
}

/* Every combination, the one without a policy first; all are checked before one is played. */
static int play_all(const struct args *args, const struct trace *trace)
{
	const uint32_t count = (args->policies + 1) * args->selects;
	struct setting *setting = calloc(count, sizeof(*setting));
	int status;
	enum part *part = find_parts(args, trace, &status);

	if (!status && !setting)
		status = failed("evaluate", "out of memory");
	for (uint32_t i = 0; i < count && !status; i++)
		status = prepare(trace, i < args->selects ? "none" : args->policy[i / args->selects - 1],
			args->select[i % args->selects], &setting[i]);
	for (uint32_t i = 0; i < count && !status; i++)
		status = play_setting(args, trace, part, &setting[i]);
	free(part);
	free(setting);
	return status;
}

int cmd_evaluate(int argc, char **argv)
{
	struct args args = {.part = -1, .seed = 1};
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
