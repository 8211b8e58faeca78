/* SPDX-License-Identifier: Apache-2.0 */
/* self-evaluate and detect: own-path rules that ask the model about what a candidate has written so far, on a copy of it, and
 * read the probability that it says yes. */
#include "policy.h"

#include <string.h>

enum { EVALUATE_AT, EVALUATE_BELOW, EVALUATE_ASK, EVALUATE_MIN_SURVIVORS, EVALUATE_SHADOW };

const struct veto_param self_evaluate_params[] = {
	[EVALUATE_AT] = {.name = "at",
		.help = "token counts, rising, at which the model is asked (64+128+256)",
		.type = VETO_PARAM_COUNT,
		.low = 1,
		.high = VETO_TOKENS_MAX,
		.is_list = true},
	[EVALUATE_BELOW] = {.name = "below",
		.help = "reject when the probability of yes, of yes and no, lies below this",
		.type = VETO_PARAM_RATIO,
		.fallback = 209715 /* 0.2 */,
		.low = 0,
		.high = ONE_Q20},
	[EVALUATE_ASK] = {.name = "ask",
		.help = "the question (whether the answer so far is right, answered Yes or No)",
		.type = VETO_PARAM_TEXT},
	[EVALUATE_MIN_SURVIVORS] = MIN_SURVIVORS_PARAM("the first so many candidates are never rejected"),
	[EVALUATE_SHADOW] = SHADOW_PARAM,
	{0},
};

enum { DETECT_WORDS, DETECT_K, DETECT_AGREEMENT, DETECT_THINK, DETECT_MIN_SURVIVORS, DETECT_SHADOW };

const struct veto_param detect_params[] = {
	[DETECT_WORDS] = {.name = "words",
		.help = "hesitation words, joined by |, in any case, after which the model is asked whether it is done",
		.type = VETO_PARAM_TEXT},
	[DETECT_K] = {.name = "k",
		.help = "fast verdicts on a candidate that is done: quantiles of one probability",
		.type = VETO_PARAM_COUNT,
		.fallback = 4,
		.low = 1,
		.high = 64},
	[DETECT_AGREEMENT] = {.name = "agreement",
		.help = "share of the fast verdicts that must agree; otherwise ceil(k / 4) slow ones decide",
		.type = VETO_PARAM_RATIO,
		.fallback = 943718 /* 0.9 */,
		.low = ONE_Q20 / 2,
		.high = ONE_Q20},
	[DETECT_THINK] = {.name = "think",
		.help = "tokens that the model may write before a slow verdict",
		.type = VETO_PARAM_COUNT,
		.fallback = 96,
		.low = 1,
		.high = 4096},
	[DETECT_MIN_SURVIVORS] = MIN_SURVIVORS_PARAM("the first so many candidates are never rejected"),
	[DETECT_SHADOW] = SHADOW_PARAM,
	{0},
};

#define EVALUATE_DEFAULT "\n\nQuestion: is the answer above right so far? Reply Yes or No.\nReply:"
#define DETECT_COMPLETE                                                                                                \
	"\n\nQuestion: is the solution above complete, with its final answer stated? Reply Yes or No.\nReply:"
#define DETECT_FAST "\n\nQuestion: is the solution above right? Reply Yes or No.\nReply:"
#define DETECT_SLOW "\n\nLet us check the solution above step by step.\n"
#define DETECT_VERDICT "\n\nSo is it right? Reply Yes or No.\nReply:"
#define DETECT_MARKS                                                                                                   \
	"wait|hmm|alternatively|let me check|let me verify|let me double-check|let's check|actually|hold on"

/* --- self-evaluate --- */

static void evaluate_complete(struct veto_values *values)
{
	static const int64_t at[] = {64, 128, 256};

	if (values->count[EVALUATE_AT] > 0)
		return;
	values->count[EVALUATE_AT] = sizeof(at) / sizeof(*at);
	memcpy(values->value[EVALUATE_AT], at, sizeof(at));
}

static int evaluate_check(const struct veto_values *values, char *why)
{
	return policy_check_rungs("self-evaluate", values, EVALUATE_AT, why);
}

static void evaluate_token(struct board *b, struct rule *r, uint32_t candidate, const struct veto_score *score)
{
	const struct veto_values *values = &r->rule.values;

	(void)score;
	for (uint32_t i = 0; i < values->count[EVALUATE_AT]; i++)
		if (values->value[EVALUATE_AT][i] == b->candidate[candidate].tokens && candidate >= r->min_survivors)
			board_ask(b, r, candidate, 0);
}

static void evaluate_reply(struct board *b, struct rule *r, uint32_t candidate, struct veto_interval yes)
{
	const int64_t below = r->rule.values.value[EVALUATE_BELOW][0];

	if (yes.high < below)
		board_trip(b, r, candidate, yes.high, below, r->cell[candidate].asked);
}

static void evaluate_question(const struct veto_values *values, uint32_t question, struct veto_question *out)
{
	(void)question;
	*out = (struct veto_question){.text = values->count[EVALUATE_ASK] ? values->text : EVALUATE_DEFAULT};
}

const struct policy_ops self_evaluate_ops = {
	.complete = evaluate_complete,
	.check = evaluate_check,
	.token = evaluate_token,
	.reply = evaluate_reply,
	.question = evaluate_question,
};

/* --- detect --- */

enum { IS_COMPLETE, IS_RIGHT, IS_RIGHT_SLOW }; /* questions */

static void detect_token(struct board *b, struct rule *r, uint32_t candidate, const struct veto_score *score)
{
	(void)score;
	if (b->candidate[candidate].marks >> r->index & 1)
		board_ask(b, r, candidate, IS_COMPLETE);
}

static void decide(struct board *b, struct rule *r, uint32_t candidate, bool is_right, int64_t yes)
{
	if (is_right)
		board_complete(b, r, candidate);
	else if (candidate >= r->min_survivors)
		board_trip(b, r, candidate, yes, ONE_Q20 / 2, r->cell[candidate].asked);
}

/* k verdicts drawn with the probability of yes would say yes so often: of the evenly spaced quantiles those below it. */
static void judge_fast(struct board *b, struct rule *r, uint32_t candidate, int64_t yes)
{
	const int64_t k = r->rule.values.value[DETECT_K][0];
	int64_t says_yes = 0, agree;

	for (int64_t i = 0; i < k; i++)
		says_yes += yes * 2 * k > (2 * i + 1) * ONE_Q20;
	agree = 2 * says_yes > k ? says_yes : k - says_yes;
	if (agree * ONE_Q20 >= k * r->rule.values.value[DETECT_AGREEMENT][0])
		decide(b, r, candidate, 2 * says_yes > k, yes);
	else
		board_ask_again(r, candidate, IS_RIGHT_SLOW);
}

/* sums: of the slow verdicts so far. */
static void judge_slow(struct board *b, struct rule *r, uint32_t candidate, struct veto_interval yes)
{
	struct sums *sums = &r->cell[candidate].sums;
	const uint32_t wanted = ((uint32_t)r->rule.values.value[DETECT_K][0] + 3) / 4;

	sums_add(sums, yes);
	if (sums->usable < wanted) {
		board_ask_again(r, candidate, IS_RIGHT_SLOW);
		return;
	}
	decide(b, r, candidate, 2 * sums->low > (int64_t)wanted * ONE_Q20, sums->low / wanted);
	*sums = (struct sums){0};
}

static void detect_reply(struct board *b, struct rule *r, uint32_t candidate, struct veto_interval yes)
{
	switch (r->cell[candidate].question) {
	case IS_COMPLETE:
		if (2 * yes.low > ONE_Q20)
			board_ask_again(r, candidate, IS_RIGHT);
		return;
	case IS_RIGHT:
		judge_fast(b, r, candidate, yes.low);
		return;
	default:
		judge_slow(b, r, candidate, yes);
		return;
	}
}

static void detect_question(const struct veto_values *values, uint32_t question, struct veto_question *out)
{
	static const struct veto_question questions[] = {
		[IS_COMPLETE] = {DETECT_COMPLETE, NULL, 0},
		[IS_RIGHT] = {DETECT_FAST, NULL, 0},
		[IS_RIGHT_SLOW] = {DETECT_SLOW, DETECT_VERDICT, 0},
	};

	*out = questions[question];
	if (question == IS_RIGHT_SLOW)
		out->think_tokens = (uint32_t)values->value[DETECT_THINK][0];
}

static const char *detect_marks(const struct veto_values *values)
{
	return values->count[DETECT_WORDS] ? values->text : DETECT_MARKS;
}

/* A candidate that was found complete and right has closed with its answer. */
static bool detect_is_settled(struct board *b, struct rule *r)
{
	for (uint32_t i = 0; i < b->candidates; i++)
		if (r->cell[i].is_completed && b->candidate[i].state == VETO_FINISHED && b->candidate[i].answer)
			return !r->is_shadow;
	return false;
}

const struct policy_ops detect_ops = {
	.token = detect_token,
	.reply = detect_reply,
	.question = detect_question,
	.marks = detect_marks,
	.is_settled = detect_is_settled,
};
