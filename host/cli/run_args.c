/* SPDX-License-Identifier: Apache-2.0 */
/* The options of veto run. */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"Usage: veto run -m MODEL.gguf (-p TEXT | --prompts FILE) [OPTION]...\n\n"
	"Generates candidates with llama.cpp, scores every token, rejects as the policies say, and selects an answer.\n\n"
	"  -m, --model FILE     GGUF model\n"
	"  -p, --prompt TEXT    one prompt; the model's chat template is applied\n"
	"      --prompts FILE   JSON Lines: {\"id\", \"prompt\", \"answer\"?}\n"
	"  -n N                 candidates a prompt (default 8)\n"
	"      --cohort K       write K candidates at a time (255 at most), and compare them with each other (default: all)\n"
	"      --beam N:M       search with N beams: in each step one in M goes on, M ways; ranks by the reward of --head\n"
	"      --policy P       rule that rejects or stops; several allowed: NAME, NAME:key=value,... or a JSON file\n"
	"      --select S       rule that chooses the answer (default majority); see veto policies\n"
	"      --answer A       where the answer stands: last-number, last-line (default), boxed, letter, regex:EXPRESSION\n"
	"  -d, --device URI     device that scores (default cpu:threads=1)\n"
	"      --head FILE      reward of hidden states at step ends and rungs (veto head import); gate ranks by it\n"
	"      --sch FILE       self-certainty from hidden states by this table (veto head sch), not from the logits\n"
	"      --step TEXT      a step ends with the token that completes this text (default: a line break)\n"
	"      --seed S         seed of the random numbers (default 1)\n"
	"      --temperature T  (default 0.7; 0: always the likeliest token)\n"
	"      --top-p P        (default 1: off)\n"
	"      --min-p P        (default 0.05)\n"
	"      --max-tokens M   tokens a candidate at most (default 256); one that is cut off has no answer\n"
	"      --threads N      threads that generate (default: one a processor)\n"
	"      --rows FILE.npy  write every row of logits that is scored\n"
	"      --journal FILE   record events, scores, verdicts and texts (veto replay, evaluate, export)\n"
	"      --record WHAT    in the journal, too: hidden (states at step ends and every 32nd token), top (the 20 largest\n"
	"                       log-probabilities of every token), or hidden,top\n"
	"      --compare        generate the same seeds again without rejecting, and report both\n"
	"      --json           one JSON object a prompt, then one for the whole\n"
	"      --help           this text\n\n"
	"Ctrl-C ends with the summary so far. Exit code 0: done, 1: failed or interrupted, 2: misused.\n";

enum {
	OPTION_PROMPTS = 256,
	OPTION_COHORT,
	OPTION_BEAM,
	OPTION_POLICY,
	OPTION_SELECT,
	OPTION_ANSWER,
	OPTION_SEED,
	OPTION_TEMPERATURE,
	OPTION_TOP_P,
	OPTION_MIN_P,
	OPTION_MAX_TOKENS,
	OPTION_THREADS,
	OPTION_ROWS,
	OPTION_JOURNAL,
	OPTION_RECORD,
	OPTION_HEAD,
	OPTION_SCH,
	OPTION_STEP,
	OPTION_COMPARE,
	OPTION_JSON,
};

static const struct option options[] = {
	{"model", required_argument, NULL, 'm'},
	{"prompt", required_argument, NULL, 'p'},
	{"prompts", required_argument, NULL, OPTION_PROMPTS},
	{"cohort", required_argument, NULL, OPTION_COHORT},
	{"beam", required_argument, NULL, OPTION_BEAM},
	{"policy", required_argument, NULL, OPTION_POLICY},
	{"select", required_argument, NULL, OPTION_SELECT},
	{"answer", required_argument, NULL, OPTION_ANSWER},
	{"device", required_argument, NULL, 'd'},
	{"seed", required_argument, NULL, OPTION_SEED},
	{"temperature", required_argument, NULL, OPTION_TEMPERATURE},
	{"top-p", required_argument, NULL, OPTION_TOP_P},
	{"min-p", required_argument, NULL, OPTION_MIN_P},
	{"max-tokens", required_argument, NULL, OPTION_MAX_TOKENS},
	{"threads", required_argument, NULL, OPTION_THREADS},
	{"rows", required_argument, NULL, OPTION_ROWS},
	{"journal", required_argument, NULL, OPTION_JOURNAL},
	{"record", required_argument, NULL, OPTION_RECORD},
	{"head", required_argument, NULL, OPTION_HEAD},
	{"sch", required_argument, NULL, OPTION_SCH},
	{"step", required_argument, NULL, OPTION_STEP},
	{"compare", no_argument, NULL, OPTION_COMPARE},
	{"json", no_argument, NULL, OPTION_JSON},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static int add_policy(const char *text, struct run_args *args)
{
	if (args->rules == VETO_RULES_MAX - 1)
		return misused("run", "more than %d policies", VETO_RULES_MAX - 1);
	args->policy_text[args->rules] = text;
	return read_rule("run", "--policy", text, false, &args->rule[args->rules++]);
}

static int read_u32(const char *option, const char *text, int64_t low, int64_t high, uint32_t *out)
{
	int64_t value;

	if (read_count("run", option, text, low, high, &value))
		return EXIT_MISUSED;
	*out = (uint32_t)value;
	return 0;
}

static int read_beam(const char *text, struct run_args *args)
{
	const char *colon = strchr(text, ':');
	char beams[32];
	int64_t n, m;

	snprintf(beams, sizeof(beams), "%.*s", colon ? (int)(colon - text) : 0, text);
	if (!colon || colon - text >= (long)sizeof(beams) || param_count(beams, &n) || param_count(colon + 1, &m) ||
		m < 2 || n < m || n > COHORT_MAX)
		return misused("run", "--beam '%s': expected N:M, M from 2 and N from M to %d", text, COHORT_MAX);
	args->beams = (uint32_t)n;
	args->expand = (uint32_t)m;
	return 0;
}

static bool is_beam_rule(const struct veto_rule *rule) { return strcmp(rule->policy->name, "partial-reward") == 0; }

/* A beam search is that of the given rule, or of one with defaults. */
static int complete_beam(struct run_args *args)
{
	uint32_t at = 0;

	while (at < args->rules && !is_beam_rule(&args->rule[at]))
		at++;
	if (!args->beams && at < args->rules)
		return misused("run", "--policy %s: it needs --beam N:M", args->policy_text[at]);
	if (!args->beams)
		return 0;
	if (args->candidates || args->cohort)
		return misused("run", "--beam says how many candidates there are: leave out %s",
			args->candidates ? "-n" : "--cohort");
	if (at == args->rules && add_policy("partial-reward", args))
		return EXIT_MISUSED;
	if (is_policy(args->policy_text[at]) && strstr(args->policy_text[at], "expand="))
		return misused("run", "--policy %s: --beam says how often a beam forks: leave out expand",
			args->policy_text[at]);
	for (size_t i = 0; args->rule[at].policy->param[i].name; i++) {
		const struct veto_param *param = &args->rule[at].policy->param[i];

		if (strcmp(param->name, "expand") == 0)
			args->rule[at].values.value[i][0] = args->expand;
		if (param->type == VETO_PARAM_FIELD && args->rule[at].values.value[i][0] == VETO_REWARD &&
			!args->head_path)
			return misused("run", "--beam ranks by rewards: it needs --head FILE");
	}
	args->candidates = args->beams;
	return 0;
}

static int read_number(int option, const char *text, struct run_args *args)
{
	int64_t seed;

	switch (option) {
	case 'n':
		return read_u32("-n", text, 1, VETO_CANDIDATES_MAX, &args->candidates);
	case OPTION_COHORT:
		return read_u32("--cohort", text, 1, VETO_CANDIDATES_MAX, &args->cohort);
	case OPTION_MAX_TOKENS:
		return read_u32("--max-tokens", text, 1, VETO_TOKENS_MAX, &args->max_tokens);
	case OPTION_THREADS:
		return read_u32("--threads", text, 1, 512, &args->threads);
	case OPTION_SEED:
		if (read_count("run", "--seed", text, 0, INT64_MAX, &seed))
			return EXIT_MISUSED;
		args->seed = (uint64_t)seed;
		return 0;
	case OPTION_TEMPERATURE:
		return read_decimal("run", "--temperature", text, 0, 100, &args->temperature);
	case OPTION_TOP_P:
		return read_decimal("run", "--top-p", text, 0, 1, &args->top_p);
	default:
		return read_decimal("run", "--min-p", text, 0, 1, &args->min_p);
	}
}

static int read_answer(const char *text, struct run_args *args)
{
	char why[VETO_WHY_MAX];

	args->answer_text = text;
	answer_rule_free(&args->answer);
	return answer_rule_parse(text, &args->answer, why) ? misused("run", "%s", why) : 0;
}

static int set_once(const char *option, const char *text, const char **out)
{
	if (*out)
		return misused("run", "%s is given twice", option);
	*out = text;
	return 0;
}

static int read_record(char *text, struct run_args *args)
{
	for (char *rest = text, *word; (word = strsep(&rest, ","));) {
		if (strcmp(word, "hidden") == 0)
			args->records_states = true;
		else if (strcmp(word, "top") == 0)
			args->records_tops = true;
		else
			return misused("run", "--record '%s': expected hidden, top, or hidden,top", word);
	}
	return 0;
}

void run_print_sampler(const struct run_args *args, char text[RUN_SAMPLER_MAX])
{
	snprintf(text, RUN_SAMPLER_MAX, "{\"temperature\":%g,\"top_p\":%g,\"min_p\":%g}", args->temperature,
		args->top_p, args->min_p);
}

const char *run_model_name(const struct run_args *args)
{
	const char *slash = strrchr(args->model, '/');

	return slash ? slash + 1 : args->model;
}

static int read_option(int option, char *text, void *arg)
{
	struct run_args *args = arg;

	switch (option) {
	case 'm':
		args->model = text;
		return 0;
	case 'p':
		args->prompt = text;
		return 0;
	case 'd':
		args->device = text;
		return 0;
	case OPTION_PROMPTS:
		args->prompts_path = text;
		return 0;
	case OPTION_ROWS:
		args->rows_path = text;
		return 0;
	case OPTION_JOURNAL:
		return set_once("--journal", text, &args->journal_path);
	case OPTION_RECORD:
		return read_record(text, args);
	case OPTION_POLICY:
		return add_policy(text, args);
	case OPTION_SELECT:
		args->select = text;
		return 0;
	case OPTION_ANSWER:
		return read_answer(text, args);
	case OPTION_HEAD:
		return set_once("--head", text, &args->head_path);
	case OPTION_SCH:
		return set_once("--sch", text, &args->table_path);
	case OPTION_BEAM:
		return args->beams ? misused("run", "--beam is given twice") : read_beam(text, args);
	case OPTION_STEP:
		args->step = text;
		return *text ? 0 : misused("run", "--step: the text is empty");
	case OPTION_COMPARE:
		args->is_compared = true;
		return 0;
	case OPTION_JSON:
		args->is_json = true;
		return 0;
	default:
		return read_number(option, text, args);
	}
}

static int check(const struct run_args *args)
{
	if (!args->model)
		return misused("run", "-m MODEL.gguf is needed; see veto run --help");
	if (!args->prompt == !args->prompts_path)
		return misused("run", "one of -p TEXT and --prompts FILE is needed; see veto run --help");
	if (args->prompt && !*args->prompt)
		return misused("run", "-p: the prompt is empty");
	if (args->journal_path && (is_same_file(args->journal_path, args->model) ||
					  (args->prompts_path && is_same_file(args->journal_path, args->prompts_path))))
		return misused("run", "--journal %s is a file that is read", args->journal_path);
	if ((args->records_states || args->records_tops) && !args->journal_path)
		return misused("run", "--record says what stands in a journal: it needs --journal FILE");
	if (args->cohort > args->candidates)
		return misused("run", "--cohort %u is above the %u candidates of -n", args->cohort, args->candidates);
	return EXIT_DONE;
}

int run_args_read(int argc, char **argv, struct run_args *args)
{
	static const struct command_options all = {"run", help, ":m:p:n:d:h", options, read_option};
	int status;

	*args = (struct run_args){.device = "cpu:threads=1",
		.max_tokens = 256,
		.seed = 1,
		.temperature = 0.7,
		.top_p = 1,
		.min_p = 0.05,
		.step = "\n",
		.select = "majority"};
	read_answer("last-line", args);
	status = read_options(&all, argc, argv, args, &args->wants_help);
	if (status || args->wants_help)
		return status;
	if (optind < argc)
		return misused("run", "unexpected argument '%s'", argv[optind]);
	for (uint32_t i = 0; args->head_path && i < args->rules; i++)
		rule_prefer_reward(args->policy_text[i], &args->rule[i]);
	if (complete_beam(args))
		return EXIT_MISUSED;
	args->candidates = args->candidates ? args->candidates : 8;
	if (read_rule("run", "--select", args->select, true, &args->rule[args->rules++]))
		return EXIT_MISUSED;
	return check(args);
}
