/* SPDX-License-Identifier: Apache-2.0 */
/* veto run: candidates generated, scored, rejected and chosen from, a prompt at a time. */
#include "clock.h"
#include "run_open.h"
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
	err = run_open_stream(run, run->first_rule, engine_vocab(run->engine), why);
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
	err = run_open(&run, &is_interrupted, why);
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
	run_close(&run);
	answer_rule_free(&args.answer);
	return close_stdout("run", status);
}
