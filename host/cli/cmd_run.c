/* SPDX-License-Identifier: Apache-2.0 */
/* veto run: candidates generated, scored, rejected and chosen from, a prompt at a time. */
#include "backbone.h"
#include "clock.h"
#include "rows_out.h"
#include "run.h"
#include "run_journal.h"
#include "source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t is_interrupted;

static void interrupt(int signal)
{
	(void)signal;
	is_interrupted = 1;
}

/* Everything that lives as long as the run. */
struct run {
	const struct run_args *args;
	struct engine *engine;
	struct veto_verifier *verifier;
	struct veto_head *head, *table; /* NULL: none */
	struct backbone backbone; /* of the model, with a head, a table or a journal */
	struct prompts prompts;
	int32_t **tokens; /* [prompts] */
	uint32_t *token_count;
	struct run_view *view;
	struct rows_out rows;
	struct run_journal journal;
	bool has_warned_nan;

	/* of the prompt being written */
	const struct prompt *prompt;
	struct veto_stream *stream;
	struct run_outcome *outcome;
	uint32_t rules; /* in force */
	uint32_t first_rule; /* of args->rule */
	bool is_recorded;
};

static uint64_t find_answer(void *arg, uint32_t candidate, const char *text)
{
	struct run *run = arg;
	struct run_candidate *c = &run->outcome->candidate[candidate];

	c->has_answer = answer_find(&run->args->answer, text, c->answer) == 0;
	return c->has_answer ? answer_key(c->answer) : 0;
}

static void see_verdict(void *arg, const struct veto_verdict *verdict)
{
	struct run *run = arg;
	struct veto_verdict seen = *verdict;

	if (run->is_recorded)
		journal_write_verdict(run->journal.journal, verdict);
	seen.rule += run->first_rule;
	run_outcome_add(run->outcome, &seen);
}

static void write_rows(struct run *run, const struct source_item *items, uint32_t count)
{
	for (uint32_t i = 0; i < count && run->rows.file; i++)
		if (items[i].payload.row)
			rows_out_write(&run->rows, items[i].payload.row);
}

static void warn_nan(struct run *run, const struct source_item *items, uint32_t count)
{
	for (uint32_t i = 0; i < count && !run->has_warned_nan; i++) {
		const struct veto_score *score = veto_stream_score(run->stream, items[i].event.candidate);

		if (items[i].event.kind != VETO_TOKEN || !score || !score->flags)
			continue;
		run->has_warned_nan = true;
		run_view_clear(run->view);
		say("run",
			"warning: the model gave a row with NaN, saturated or no logits (prompt %s, candidate %u): such "
			"rows are counted and not used",
			run->prompt->id, items[i].event.candidate);
	}
}

static void update_candidates(struct run *run)
{
	for (uint32_t i = 0; i < run->outcome->candidates; i++) {
		struct run_candidate *c = &run->outcome->candidate[i];
		const struct veto_score *score = veto_stream_score(run->stream, i);
		struct veto_candidate_info info;

		veto_session_candidate(veto_stream_session(run->stream), i, &info);
		c->state = info.state;
		c->tokens = info.tokens;
		c->unusable = info.unusable;
		c->votes = info.votes;
		c->is_cut_off = engine_is_cut_off(run->engine, i);
		if (score)
			c->score = *score;
	}
}

static void see_round(void *arg, const struct source_item *items, uint32_t count)
{
	struct run *run = arg;

	for (uint32_t i = 0; i < count; i++)
		run->outcome->tokens += items[i].event.kind == VETO_TOKEN;
	if (run->is_recorded)
		journal_end_round(run->journal.journal);
	write_rows(run, items, count);
	warn_nan(run, items, count);
	if (!run->view)
		return;
	update_candidates(run);
	run_view_draw(run->view, run->prompt->text, run->outcome->candidate, run->outcome->candidates);
}

static void choose(struct run *run)
{
	struct veto_session *session = veto_stream_session(run->stream);
	struct run_outcome *outcome = run->outcome;
	char known[ANSWER_MAX];

	outcome->has_choice = veto_session_select(session, run->rules - 1, &outcome->choice) == 0;
	if (!outcome->has_choice || !run->prompt->answer)
		return;
	answer_normalise(run->prompt->answer, known);
	outcome->is_right = strcmp(known, outcome->candidate[outcome->choice.candidate].answer) == 0;
}

static void warn_thresholds(struct run *run)
{
	int64_t threshold;

	for (uint32_t i = 0; i < run->rules; i++)
		if (veto_session_threshold(veto_stream_session(run->stream), i, &threshold) == -ENODATA)
			say("run",
				"warning: prompt %s: too few warm-up candidates finished with a score: nothing is rejected",
				run->prompt->id);
}

static int keep_texts(struct run *run)
{
	for (uint32_t i = 0; i < run->outcome->candidates; i++) {
		run->outcome->candidate[i].text = strdup(engine_text(run->engine, i));
		if (!run->outcome->candidate[i].text)
			return -ENOMEM;
	}
	return 0;
}

/* Play the prompt whose stream is open, and see what came of it. */
static int play_prompt(struct run *run, uint32_t index)
{
	struct audience audience = {see_verdict, see_round, run};
	uint64_t start = clock_ns();
	struct source *source;
	int err;

	err = engine_start(run->engine, run->prompt->text, run->tokens[index], run->token_count[index],
		run->args->candidates, &source);
	if (!err)
		err = play(source, run->stream, &audience, &run->outcome->verify_ns);
	run->outcome->wall_ns = clock_ns() - start;
	run->outcome->is_stopped = err == -EINTR;
	run_view_clear(run->view);
	update_candidates(run);
	warn_thresholds(run);
	run->outcome->counts = veto_stream_counts(run->stream);
	engine_asked(run->engine, &run->outcome->questions, &run->outcome->think_tokens);
	choose(run);
	return keep_texts(run) ? -ENOMEM : err;
}

/* Whether a rule of the run asks the model. */
static bool is_asking(const struct run_args *args)
{
	struct veto_question question;

	for (uint32_t i = 0; i < args->rules; i++)
		if (veto_rule_question(&args->rule[i], 0, &question) == 0)
			return true;
	return false;
}

static int open_stream(struct run *run, uint32_t first_rule, uint32_t vocab, char *why)
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

/* One prompt, with the rules or only the selecting one; -EINTR: cut short by the user, the outcome is what there is. */
static int generate(struct run *run, uint32_t index, bool is_full, struct run_outcome *outcome)
{
	const struct run_args *args = run->args;
	char why[VETO_WHY_MAX];
	int err;

	run->first_rule = is_full ? args->rules - 1 : 0;
	run->rules = args->rules - run->first_rule;
	run->prompt = &run->prompts.list[index];
	run->outcome = outcome;
	outcome->has_raw_reward = run->head && !veto_head_info(run->head)->is_probability;
	outcome->candidate = calloc(args->candidates, sizeof(*outcome->candidate));
	if (!outcome->candidate)
		return -ENOMEM;
	outcome->candidates = args->candidates;
	run->is_recorded = run->journal.journal && !is_full;
	err = open_stream(run, run->first_rule, engine_vocab(run->engine), why);
	if (err) {
		say("run", "%s", why);
		return err;
	}
	if (run->is_recorded)
		run_journal_prompt(&run->journal, args, run->prompt, outcome);
	err = play_prompt(run, index);
	if (run->is_recorded)
		run_journal_choice(&run->journal);
	veto_stream_close(run->stream);
	run->stream = NULL;
	return err;
}

/* Sums with the rules and, with --compare, without; and of a prompt whose comparison was interrupted. */
struct sums {
	struct run_totals ruled, full, cut;
};

/* Half a comparison compares nothing, so it is in neither sum. */
static void add_compared(struct sums *sums, const struct run_outcome *ruled, const struct run_outcome *full,
	bool is_cut, bool is_answer_known)
{
	run_totals_add(is_cut ? &sums->cut : &sums->ruled, ruled, is_answer_known);
	run_totals_add(is_cut ? &sums->cut : &sums->full, full, is_answer_known);
	if (!is_cut)
		run_totals_compare(&sums->ruled, ruled, full);
}

static int run_prompt(struct run *run, uint32_t index, struct sums *sums)
{
	const struct prompt *prompt = &run->prompts.list[index];
	struct run_outcome ruled = {0}, full = {0};
	bool is_compared = run->args->is_compared;
	int err;

	err = generate(run, index, false, &ruled);
	if (!err && is_compared)
		err = generate(run, index, true, &full);
	if (!err || err == -EINTR) {
		if (is_compared)
			add_compared(sums, &ruled, &full, err, prompt->answer);
		else
			run_totals_add(&sums->ruled, &ruled, prompt->answer);
		run_report_prompt(run->args, prompt, &ruled, full.candidates ? &full : NULL);
	}
	run->outcome = NULL;
	run_outcome_free(&ruled);
	run_outcome_free(&full);
	return err;
}

static void report_unusable(const struct run *run, const struct sums *sums)
{
	const char *trouble = veto_verifier_trouble(run->verifier);
	uint64_t failed = sums->ruled.counts.failed_rows + sums->full.counts.failed_rows + sums->cut.counts.failed_rows;
	uint64_t states =
		sums->ruled.counts.failed_states + sums->full.counts.failed_states + sums->cut.counts.failed_states;
	uint64_t unusable = sums->ruled.unusable + sums->full.unusable + sums->cut.unusable - failed;

	if (failed)
		say("run", "%llu rows could not be scored: their tokens counted without a score%s%s",
			(unsigned long long)failed, *trouble ? ": " : "", trouble);
	if (states)
		say("run",
			"%llu hidden states gave no score: they or their logits had NaN, infinite, masked or saturated "
			"values, or could not be scored",
			(unsigned long long)states);
	if (unusable)
		say("run", "%llu rows had NaN, saturated or no logits and were not used", (unsigned long long)unusable);
}

static int run_prompts(struct run *run)
{
	struct sums sums = {0};
	int err = 0;

	for (uint32_t i = 0; i < run->prompts.count && !err && !is_interrupted; i++)
		err = run_prompt(run, i, &sums);
	if (err == -EIO)
		say("run", "llama.cpp could not decode: %s", engine_error());
	else if (err && err != -EINTR)
		say("run", "%s", strerror(-err));
	run_report_totals(
		run->args, &sums.ruled, run->args->is_compared ? &sums.full : NULL, &sums.cut, is_interrupted);
	report_unusable(run, &sums);
	return err || is_interrupted ? EXIT_FAILED : EXIT_DONE;
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
	int err = open_stream(run, 0, run->table ? veto_head_info(run->table)->vocab : 2, why);

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
			RUN_SOURCE, run->head ? veto_head_info(run->head)->checksum : ""}};

	backbone_name(&run->backbone, fingerprint);
	run_print_sampler(args, sampler);
	for (uint32_t i = 0; i + 1 < args->rules; i++)
		if (check_calibrated("run", args->policy_text[i], &usage))
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

static int open_run(struct run *run, char *why)
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
		.stop = &is_interrupted,
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
		err = run_journal_open(
			&run->journal, args, &run->backbone, run->head, engine_knows_template(run->engine), why);
	return err;
}

static void close_run(struct run *run)
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

int cmd_run(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESETHAND};
	struct run_args args;
	struct run run = {.args = &args};
	char why[VETO_WHY_MAX];
	int status, err;

	status = run_args_read(argc, argv, &args);
	if (status || args.wants_help) {
		answer_rule_free(&args.answer);
		return status ? status : close_stdout("run", EXIT_DONE);
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	err = open_run(&run, why);
	if (err == -ECANCELED) {
		status = EXIT_MISUSED; /* which was said */
	} else if (err) {
		status = err == -EINVAL ? misused("run", "%s", why) : failed("run", "%s", why);
	} else {
		run.view = run_view_open();
		status = run_prompts(&run);
		if (rows_out_close(&run.rows, why))
			status = failed("run", "%s", why);
		if (run_journal_close(&run.journal, status == EXIT_DONE, why))
			status = failed("run", "%s", why);
	}
	close_run(&run);
	answer_rule_free(&args.answer);
	return close_stdout("run", status);
}
