/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the journal of a run. */
#include "run_journal.h"
#include "fx1.h"
#include "json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TOPS 20
#define STATE_EVERY 32 /* tokens, besides those that end a step */

static void print_member(FILE *out, const char *key, const char *text)
{
	fprintf(out, ",\"%s\":", key);
	json_write_string(out, text);
}

static void print_rules(FILE *out, const struct run_args *args)
{
	char rules[VETO_RULES_MAX * 1024], select[1024];

	rules_print(args->rule, args->rules - 1, rules, sizeof(rules));
	veto_rule_print(&args->rule[args->rules - 1], select, sizeof(select));
	print_member(out, "policy", rules);
	print_member(out, "select", select);
}

static void print_header(FILE *out, const struct run_args *args, const struct backbone *backbone,
	const struct veto_head *head, bool has_template)
{
	char sampler[RUN_SAMPLER_MAX], fingerprint[BACKBONE_NAME];

	backbone_name(backbone, fingerprint);
	run_print_sampler(args, sampler);
	fprintf(out, "{\"journal\":1,\"arithmetic\":\"FX1 1, HX1 1\"");
	print_member(out, "veto", veto_version());
	print_member(out, "model", run_model_name(args));
	print_member(out, "fingerprint", fingerprint);
	fprintf(out, ",\"vocab\":%u,\"candidates\":%u,\"cohort\":%u,\"max_tokens\":%u", backbone->tokens,
		args->candidates, args->cohort ? args->cohort : args->candidates, args->max_tokens);
	fprintf(out, ",\"sampler\":%s", sampler);
	print_member(out, "template", RUN_TEMPLATE(has_template));
	print_member(out, "source", RUN_SOURCE);
	if (head)
		print_member(out, "head", veto_head_info(head)->checksum);
	print_rules(out, args);
	print_member(out, "step", args->step);
	print_member(out, "answer", args->answer_text);
	fprintf(out, ",\"seed\":%llu", (unsigned long long)args->seed);
	if (args->records_states)
		fprintf(out, ",\"hidden\":{\"format\":\"fp16\",\"values\":%u,\"tap\":\"final_norm\"}",
			backbone->embedding_length);
	if (args->records_tops)
		fprintf(out, ",\"top\":%d", TOPS);
	fprintf(out, "}");
}

/* Recordings know prompts by their names. */
static int check_names(const struct prompts *prompts, char *why)
{
	for (uint32_t i = 0; i < prompts->count; i++)
		for (uint32_t j = 0; j < i; j++)
			if (strcmp(prompts->list[i].id, prompts->list[j].id) == 0)
				return param_fail(
					-EINVAL, why, "--journal: two prompts have the id '%s'", prompts->list[i].id);
	return 0;
}

int run_journal_open(struct run_journal *j, const struct run_args *args, const struct prompts *prompts,
	const struct backbone *backbone, const struct veto_head *head, bool has_template, char *why)
{
	char *header = NULL;
	size_t bytes = 0;
	FILE *out = args->journal_path ? open_memstream(&header, &bytes) : NULL;
	int err = -ENOMEM;

	*j = (struct run_journal){
		.has_states = args->records_states, .has_tops = args->records_tops, .max_tokens = args->max_tokens};
	if (!args->journal_path)
		return 0;
	if (check_names(prompts, why)) {
		if (out)
			fclose(out);
		free(header);
		return -EINVAL;
	}
	j->state_values = backbone->embedding_length;
	j->tokens = calloc(args->candidates, sizeof(*j->tokens));
	j->state = calloc(j->state_values, sizeof(*j->state));
	if (out) {
		print_header(out, args, backbone, head, has_template);
		err = ferror(out) ? -ENOMEM : 0;
		err = fclose(out) ? -ENOMEM : err;
	}
	if (!err)
		err = j->tokens && j->state ? journal_create(args->journal_path, header, &j->journal, why) : -ENOMEM;
	free(header);
	if (err)
		run_journal_close(j, false, NULL);
	return err == -ENOMEM ? param_fail(err, why, "out of memory") : err;
}

void run_journal_prompt(struct run_journal *j, const struct run_args *args, const struct prompt *prompt,
	const struct run_outcome *outcome)
{
	if (!j->journal)
		return;
	j->outcome = outcome;
	memset(j->tokens, 0, args->candidates * sizeof(*j->tokens));
	j->known = prompt->answer ? j->known_text : NULL;
	if (prompt->answer)
		answer_normalise(prompt->answer, j->known_text);
	journal_write_prompt(j->journal, &(struct journal_prompt){journal_text_of(prompt->id),
						 journal_text_of(prompt->text), journal_text_of(j->known)});
}

/* The likeliest tokens' log-probabilities, from the logits that they have. */
static void find_tops(const struct veto_seen *seen, struct journal_event *out)
{
	for (; out->tops < TOPS && seen->top_id[out->tops] != VETO_NO_TOKEN; out->tops++) {
		int32_t y = 0;

		fx1_entry_y(seen->payload->row, VETO_FP32, seen->top_id[out->tops], &y);
		out->top[out->tops] = (float)((double)fx1_nats((int64_t)y * 1024 - fx1_lse(seen->record)) * 0x1p-20);
	}
}

static void add_token(struct run_journal *j, const struct veto_seen *seen, struct journal_event *out)
{
	const uint32_t tokens = ++j->tokens[seen->event->candidate];

	if (!seen->payload)
		return;
	if (j->has_states && seen->payload->state && (seen->event->ends_step || tokens % STATE_EVERY == 0)) {
		for (uint32_t i = 0; i < j->state_values; i++)
			j->state[i] = fx1_narrow_fp16(seen->payload->state[i]);
		out->state = j->state;
		out->state_values = j->state_values;
	}
	if (j->has_tops && seen->top_id)
		find_tops(seen, out);
}

void run_journal_seen(void *arg, const struct veto_seen *seen)
{
	struct run_journal *j = arg;
	const struct run_candidate *c = &j->outcome->candidate[seen->event->candidate];
	struct journal_event event = {.event = *seen->event};

	if (seen->event->kind == VETO_OPEN)
		j->tokens[seen->event->candidate] = 0;
	else if (seen->event->kind == VETO_TOKEN)
		add_token(j, seen, &event);
	else if (seen->event->kind == VETO_CLOSE && seen->event->answer)
		event.answer = journal_text_of(c->answer);
	else if (seen->event->kind == VETO_CLOSE)
		event.is_cut_off = j->tokens[seen->event->candidate] == j->max_tokens;
	journal_write_event(j->journal, &event);
}

/* Whether the candidate's answer is right: not known of one that was stopped. */
static enum journal_label label_of(const struct run_journal *j, const struct run_candidate *c)
{
	if (!j->known || c->state != VETO_FINISHED)
		return JOURNAL_UNKNOWN;
	return c->has_answer && strcmp(c->answer, j->known) == 0 ? JOURNAL_RIGHT : JOURNAL_WRONG;
}

void run_journal_choice(struct run_journal *j)
{
	const struct run_outcome *o = j->outcome;
	struct journal_choice choice = {.has_choice = o->has_choice, .candidate = o->choice.candidate};

	choice.text = calloc(o->candidates, sizeof(*choice.text));
	choice.label = calloc(o->candidates, sizeof(*choice.label));
	choice.texts = choice.text && choice.label ? o->candidates : 0;
	for (uint32_t i = 0; i < choice.texts; i++) {
		choice.text[i] = journal_text_of(o->candidate[i].text);
		choice.label[i] = (unsigned char)label_of(j, &o->candidate[i]);
	}
	journal_write_choice(j->journal, &choice);
	free(choice.text);
	free(choice.label);
	j->outcome = NULL;
}

int run_journal_close(struct run_journal *j, bool is_whole, char *why)
{
	const int err = journal_close(j->journal, is_whole, why);

	free(j->tokens);
	free(j->state);
	*j = (struct run_journal){0};
	return err;
}
