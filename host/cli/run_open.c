/* SPDX-License-Identifier: Apache-2.0 */
/* Opens what a run needs. */
#include "run_open.h"
#include "calibrated.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t find_answer(void *arg, uint32_t candidate, const char *text)
{
	struct run *run = arg;
	struct run_candidate *c = &run->outcome->candidate[candidate];

	c->has_answer = answer_find(&run->args->answer, text, c->answer) == 0;
	return c->has_answer ? answer_key(c->answer) : 0;
}

/* Whether a rule of the run asks the model. */
static bool is_asking(const struct run_args *args)
{
	for (uint32_t i = 0; i < args->rules; i++)
		if (veto_rule_asks(&args->rule[i]))
			return true;
	return false;
}

int run_open_stream(struct run *run, uint32_t first_rule, uint32_t vocab, char *why)
{
	const struct run_args *args = run->args;
	uint32_t yes_no[2] = {0, 1};
	struct veto_stream_info info = {
		.rule = &args->rule[first_rule],
		.rules = args->rules - first_rule,
		.candidates = args->candidates,
		.cohort = args->cohort,
		.max_tokens = args->max_tokens,
		.format = VETO_FP32,
		.vocab = vocab,
		.top_k = 20,
		.subset = yes_no,
		.subset_tokens = is_asking(args) ? 2 : 0,
		.is_asked = true,
		.head = run->head,
		.table = run->table,
		.backbone = run->head || run->table ? run->backbone.fingerprint : NULL,
		.tap = "final_norm",
		.seen = run->is_recorded ? run_journal_seen : NULL,
		.seen_arg = &run->journal,
	};

	if (info.subset_tokens && run->engine)
		engine_yes_no(run->engine, yes_no);
	return veto_stream_open(run->verifier, &info, &run->stream, why);
}

/* Every prompt is tokenised before the first is generated, so that a bad one is an error at once. */
static int read_prompts(struct run *run, char *why)
{
	uint32_t longest = 0;
	int err;

	run->tokens = calloc(run->prompts.count, sizeof(*run->tokens));
	run->token_count = calloc(run->prompts.count, sizeof(*run->token_count));
	err = run->tokens && run->token_count ? 0 : param_fail(-ENOMEM, why, "out of memory");
	for (uint32_t i = 0; i < run->prompts.count && !err; i++) {
		err = engine_tokenize(
			run->engine, run->prompts.list[i].text, &run->tokens[i], &run->token_count[i], why);
		if (!err && run->token_count[i] > longest)
			longest = run->token_count[i];
	}
	return err ? err : engine_reserve(run->engine, longest, why);
}

/* The token count at which a rejecting rule can speak first, by its parameters `rungs` and `window`; 0: any. */
static int64_t first_token(const struct veto_rule *rule)
{
	const struct veto_param *param = rule->policy->param;
	int64_t first = 0;

	for (size_t i = 0; rule->policy->role == VETO_REJECTS && param[i].name; i++) {
		if (strcmp(param[i].name, "rungs") == 0 && rule->values.count[i] > 0)
			return rule->values.value[i][0];
		if (strcmp(param[i].name, "window") == 0)
			first = rule->values.value[i][0];
	}
	return first;
}

/* The rules are tried before the model is loaded. */
static int check_rules(struct run *run, char *why)
{
	const struct run_args *args = run->args;
	int err = run_open_stream(run, 0, run->table ? veto_head_info(run->table)->vocab : 2, why);

	if (err)
		return err;
	veto_stream_close(run->stream);
	for (uint32_t i = 0; i < args->rules; i++)
		if (first_token(&args->rule[i]) > args->max_tokens)
			say("run",
				"warning: %s can reject nobody: its first look is at token %lld, and candidates have %u at "
				"most (--max-tokens)",
				args->rule[i].policy->name, (long long)first_token(&args->rule[i]), args->max_tokens);
	return 0;
}

static void warn_quantisation(const struct run *run, const struct veto_head *head)
{
	const char *made = veto_head_info(head)->quantisation;

	if (*made && strcmp(made, run->backbone.quantisation) != 0)
		say("run", "warning: the %s was made for %s, and the model is %s: its states differ a little",
			veto_head_info(head)->kind == VETO_HEAD_SCH ? "table" : "head", made,
			run->backbone.quantisation);
	if (strcmp(veto_head_info(head)->backbone, "any") == 0)
		say("run", "warning: the head does not say which model it is for");
}

static bool has_policy_file(const struct run_args *args)
{
	for (uint32_t i = 0; i + 1 < args->rules; i++)
		if (!is_policy(args->policy_text[i]))
			return true;
	return false;
}

/* That policy files were calibrated for such a run. */
static int check_policy_files(const struct run *run)
{
	const struct run_args *args = run->args;
	char sampler[RUN_SAMPLER_MAX], fingerprint[BACKBONE_NAME];
	const struct usage usage = {args->candidates, args->cohort ? args->cohort : args->candidates, args->max_tokens,
		{run_model_name(args), fingerprint, sampler, RUN_TEMPLATE(engine_knows_template(run->engine)),
			RUN_SOURCE, args->step, args->answer_text, run->head ? veto_head_info(run->head)->checksum : "",
			args->select},
		args->rule, args->rules};

	backbone_name(&run->backbone, fingerprint);
	run_print_sampler(args, sampler);
	for (uint32_t i = 0; i + 1 < args->rules; i++)
		if (calibrated_check("run", args->policy_text[i], &usage, i))
			return EXIT_MISUSED;
	return EXIT_DONE;
}

/* Heads, and whose states they would get. */
static int open_heads(struct run *run, char *why)
{
	const struct run_args *args = run->args;
	int err = 0;

	if (args->head_path)
		err = veto_head_open(args->head_path, &run->head, why);
	if (!err && args->table_path)
		err = veto_head_open(args->table_path, &run->table, why);
	if (!err && (run->head || run->table || args->journal_path || has_policy_file(args)))
		err = backbone_read(args->model, &run->backbone, why);
	for (int i = 0; i < 2 && !err; i++) {
		const struct veto_head *head = i ? run->table : run->head;

		if (!head)
			continue;
		if ((veto_head_info(head)->kind == VETO_HEAD_SCH) != (i == 1))
			return i ? param_fail(
					   -EINVAL, why, "%s: it is a head, and no table: use --head", args->table_path)
				 : param_fail(-EINVAL, why, "%s: it is a table: use --sch", args->head_path);
		if (i && veto_head_info(head)->vocab != run->backbone.tokens)
			return param_fail(-EINVAL, why, "%s is of %u tokens, and %s has %u", args->table_path,
				veto_head_info(head)->vocab, args->model, run->backbone.tokens);
		if (veto_head_info(head)->cols && veto_head_info(head)->cols != run->backbone.embedding_length)
			return param_fail(-EINVAL, why, "%s reads states of %u values, and %s makes states of %u",
				i ? args->table_path : args->head_path, veto_head_info(head)->cols, args->model,
				run->backbone.embedding_length);
		warn_quantisation(run, head);
	}
	return err == -ENOENT || err == -EACCES ? -EINVAL : err;
}

int run_open(struct run *run, const volatile sig_atomic_t *stop, char *why)
{
	const struct run_args *args = run->args;
	struct engine_options options = {
		.model = args->model,
		.threads = args->threads,
		.slots = args->cohort ? args->cohort : args->candidates,
		.max_tokens = args->max_tokens,
		.seed = args->seed,
		.temperature = args->temperature,
		.top_p = args->top_p,
		.min_p = args->min_p,
		.step = args->step,
		.rule = args->rule,
		.rules = args->rules,
		.stop = stop,
		.answer = find_answer,
		.answer_arg = run,
	};
	int err;

	err = args->prompt ? prompts_one(args->prompt, &run->prompts, why)
			   : prompts_read(args->prompts_path, &run->prompts, why);
	if (!err)
		err = veto_verifier_open(args->device, &run->verifier, why);
	if (!err)
		err = open_heads(run, why);
	options.wants_states = run->table || args->records_states || (run->head && veto_head_info(run->head)->cols > 0);
	if (!err)
		err = check_rules(run, why);
	if (!err)
		err = engine_open(&options, &run->engine, why);
	if (!err && !engine_knows_template(run->engine))
		say("run", "warning: llama.cpp does not know the model's chat template: prompts are given as they are");
	if (!err)
		err = read_prompts(run, why);
	if (!err && has_policy_file(args) && check_policy_files(run))
		err = -ECANCELED;
	if (!err && args->rows_path)
		err = rows_out_open(&run->rows, args->rows_path, engine_vocab(run->engine), why);
	if (!err)
		err = run_journal_open(&run->journal, args, &run->prompts, &run->backbone, run->head,
			engine_knows_template(run->engine), why);
	return err;
}

void run_close(struct run *run)
{
	for (uint32_t i = 0; run->tokens && i < run->prompts.count; i++)
		free(run->tokens[i]);
	free(run->tokens);
	free(run->token_count);
	prompts_free(&run->prompts);
	veto_verifier_close(run->verifier);
	veto_head_close(run->head);
	veto_head_close(run->table);
	engine_close(run->engine);
	run_view_close(run->view);
}
