/* SPDX-License-Identifier: Apache-2.0 */
/* Rules: read, written and checked; and what policies share. */
#include "policy.h"
#include "param.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const struct veto_policy *veto_policy_at(size_t index)
{
	for (size_t i = 0; policies[i].face.name; i++)
		if (i == index)
			return &policies[i].face;
	return NULL;
}

static int fail_unknown(const char *name, char *why)
{
	char known[400];
	size_t used = 0;

	for (size_t i = 0; policies[i].face.name && used < sizeof(known); i++)
		used += (size_t)snprintf(
			known + used, sizeof(known) - used, "%s%s", i ? ", " : "", policies[i].face.name);
	return param_fail(-EINVAL, why, "unknown policy '%.64s'; known policies: %s", name, known);
}

int policy_find(const char *name, const struct veto_policy **out, char *why)
{
	for (size_t i = 0; policies[i].face.name; i++) {
		if (strcmp(policies[i].face.name, name) == 0) {
			*out = &policies[i].face;
			return 0;
		}
	}
	return fail_unknown(name, why);
}

int policy_check(const struct veto_rule *rule, char *why)
{
	const struct policy_ops *ops = ((const struct policy *)rule->policy)->ops;

	return ops->check ? ops->check(&rule->values, why) : 0;
}

void policy_complete(struct veto_rule *rule)
{
	const struct policy_ops *ops = ((const struct policy *)rule->policy)->ops;

	if (ops->complete)
		ops->complete(&rule->values);
}

static int parse(const char *text, struct veto_rule *out, char *why)
{
	const char *colon = strchr(text, ':');
	struct veto_rule rule;
	char name[64];
	int err;

	snprintf(name, sizeof(name), "%.*s", colon ? (int)(colon - text) : (int)strlen(text), text);
	err = policy_find(name, &rule.policy, why);
	if (err)
		return err;
	err = param_parse(rule.policy->param, name, colon ? colon + 1 : "", &rule.values, why);
	if (!err)
		err = policy_check(&rule, why);
	if (err)
		return err;
	policy_complete(&rule);
	*out = rule;
	return 0;
}

int veto_rule_parse(const char *text, struct veto_rule *out, char *why)
{
	locale_t before = param_plain_locale();
	int err = parse(text, out, why);

	param_restore_locale(before);
	return err;
}

int veto_rules_parse(const char *text, struct veto_rule rule[VETO_RULES_MAX], uint32_t *rules, char *why)
{
	const char *at = strcmp(text, "none") == 0 ? NULL : text;
	uint32_t count = 0;
	int err = 0;

	while (at && !err) {
		const char *end = strstr(at, VETO_RULES_JOINED);
		const size_t length = end ? (size_t)(end - at) : strlen(at);
		char one[1024];

		if (count == VETO_RULES_MAX || length >= sizeof(one))
			return param_fail(-EINVAL, why,
				"'%.200s': more than %d rules, or a rule of more than %zu bytes", text, VETO_RULES_MAX,
				sizeof(one) - 1);
		memcpy(one, at, length);
		one[length] = 0;
		err = veto_rule_parse(one, &rule[count++], why);
		at = end ? end + strlen(VETO_RULES_JOINED) : NULL;
	}
	if (!err)
		*rules = count;
	return err;
}

static int print(const struct veto_rule *rule, char *text, size_t bytes)
{
	const struct veto_param *param = rule->policy->param;
	int used = snprintf(text, bytes, "%s", rule->policy->name);
	char separator = ':';

	for (size_t i = 0; param[i].name; i++) {
		size_t at = (size_t)used < bytes ? (size_t)used : bytes;

		if (rule->values.count[i] == 0)
			continue;
		used += snprintf(text + at, bytes - at, "%c%s=", separator, param[i].name);
		at = (size_t)used < bytes ? (size_t)used : bytes;
		used += param_print(&param[i], &rule->values, i, text + at, bytes - at);
		separator = ',';
	}
	return used;
}

int veto_rule_print(const struct veto_rule *rule, char *text, size_t bytes)
{
	locale_t before = param_plain_locale();
	int used = print(rule, text, bytes);

	param_restore_locale(before);
	return used;
}

bool veto_rule_asks(const struct veto_rule *rule)
{
	return ((const struct policy *)rule->policy)->ops->question != NULL;
}

int64_t policy_value(const struct veto_rule *rule, const char *name, int64_t otherwise)
{
	for (size_t i = 0; rule->policy->param[i].name; i++)
		if (strcmp(rule->policy->param[i].name, name) == 0)
			return rule->values.value[i][0];
	return otherwise;
}

bool policy_is_shadow(const struct veto_rule *rule) { return policy_value(rule, "shadow", 0) != 0; }

int veto_rule_question(const struct veto_rule *rule, uint32_t question, struct veto_question *out)
{
	if (!veto_rule_asks(rule))
		return -EINVAL;
	((const struct policy *)rule->policy)->ops->question(&rule->values, question, out);
	return 0;
}

const char *veto_rule_marks(const struct veto_rule *rule)
{
	const struct policy_ops *ops = ((const struct policy *)rule->policy)->ops;

	return ops->marks ? ops->marks(&rule->values) : NULL;
}

bool policy_reads(const struct veto_rule *rule, uint32_t field)
{
	for (size_t i = 0; rule->policy->param[i].name; i++)
		if (rule->policy->param[i].type == VETO_PARAM_FIELD && rule->values.value[i][0] == field)
			return true;
	return false;
}

bool policy_has_rung(const struct veto_rule *rule, uint32_t tokens, uint32_t step_tokens)
{
	for (size_t i = 0; rule->policy->param[i].name; i++) {
		const bool is_tau = strcmp(rule->policy->param[i].name, "tau") == 0;

		if (!is_tau && strcmp(rule->policy->param[i].name, "rungs") != 0)
			continue;
		for (uint32_t j = 0; j < rule->values.count[i]; j++)
			if (rule->values.value[i][j] == (is_tau ? step_tokens : tokens))
				return true;
	}
	return false;
}

/* Q31 fields become Q20 by truncation. */
static struct veto_interval to_q20(struct veto_interval value, const struct veto_field_info *field)
{
	if (strcmp(field->unit, "q31") != 0)
		return value;
	return (struct veto_interval){value.low >> 11, value.high == NO_BOUND ? NO_BOUND : value.high >> 11};
}

struct veto_interval policy_read(const struct veto_score *score, uint32_t field)
{
	struct veto_interval value;

	if (!(score->has >> field & 1) || score->flags & (VETO_NAN | VETO_SATURATED))
		return (struct veto_interval){NO_SCORE, NO_SCORE};
	value = to_q20(score->field[field], &veto_fields[field]);
	if (veto_fields[field].sign > 0)
		return value;
	/* Without an upper bound, its negative has no lower one: as good as no score. */
	if (value.high == NO_BOUND)
		return (struct veto_interval){NO_SCORE, NO_SCORE};
	return (struct veto_interval){-value.high, -value.low};
}

static void sums_change(struct sums *sums, struct veto_interval value, int by)
{
	if (value.low == NO_SCORE)
		return;
	sums->usable += (uint32_t)by;
	sums->low += by * value.low;
	if (value.high == NO_BOUND)
		sums->unbounded += (uint32_t)by;
	else
		sums->high += by * value.high;
}

void sums_add(struct sums *sums, struct veto_interval value) { sums_change(sums, value, 1); }

void sums_remove(struct sums *sums, struct veto_interval value) { sums_change(sums, value, -1); }

struct veto_interval sums_mean(const struct sums *sums, uint32_t tokens)
{
	if (sums->usable == 0 || sums->usable * 2ULL < tokens)
		return (struct veto_interval){NO_SCORE, NO_SCORE};
	return (struct veto_interval){
		sums->low / sums->usable,
		sums->unbounded ? NO_BOUND : sums->high / sums->usable,
	};
}

bool policy_counts(const struct candidate *c, uint32_t field) { return field != VETO_REWARD || c->ends_step; }

void sums_follow(struct sums *sums, uint32_t field, struct veto_interval value)
{
	if (field == VETO_REWARD)
		*sums = (struct sums){0};
	sums_add(sums, value);
}

struct veto_interval sums_so_far(const struct sums *sums, uint32_t field, uint32_t tokens)
{
	return sums_mean(sums, field == VETO_REWARD ? 1 : tokens);
}

int board_check(const struct board *b, char *why)
{
	const struct rule *beams = NULL;

	for (uint32_t i = 0; i < b->rules; i++) {
		const struct rule *r = &b->rule[i];

		if (!r->policy->ops->judge_step || r->is_shadow)
			continue;
		if (beams)
			return param_fail(-EINVAL, why, "more than one rule %s", r->policy->face.name);
		beams = r;
	}
	for (uint32_t i = 0; i < b->rules && beams; i++)
		if (b->rule[i].policy->ops->freeze)
			return param_fail(-EINVAL, why, "%s and %s do not go together", beams->policy->face.name,
				b->rule[i].policy->face.name);
	return 0;
}

struct veto_verdict board_verdict(const struct rule *r, uint32_t candidate)
{
	const struct cell *cell = &r->cell[candidate];

	return (struct veto_verdict){
		.kind = VETO_REJECT,
		.is_shadow = r->is_shadow,
		.candidate = candidate,
		.tokens = cell->token,
		.rule = r->index,
		.field = r->field,
		.score = cell->score,
		.threshold = cell->threshold,
	};
}

void board_trip(struct board *b, struct rule *r, uint32_t candidate, int64_t score, int64_t threshold, uint32_t tokens)
{
	struct candidate *c = &b->candidate[candidate];
	struct cell *cell = &r->cell[candidate];

	if (cell->token != NEVER || c->is_protected)
		return;
	cell->token = tokens;
	cell->score = score;
	cell->threshold = threshold;
	cell->is_tripped = true;
	if (!r->is_shadow && tokens < c->trip_token) {
		c->trip_token = tokens;
		c->trip_rule = (uint32_t)(r - b->rule);
	}
}

void board_ask(struct board *b, struct rule *r, uint32_t candidate, uint32_t question)
{
	struct cell *cell = &r->cell[candidate];

	if (cell->asked || cell->token != NEVER || b->candidate[candidate].is_protected)
		return;
	cell->asked = b->candidate[candidate].tokens;
	board_ask_again(r, candidate, question);
}

void board_ask_again(struct rule *r, uint32_t candidate, uint32_t question)
{
	r->cell[candidate].question = question;
	r->cell[candidate].is_ask_pending = true;
}

void board_complete(struct board *b, struct rule *r, uint32_t candidate)
{
	struct cell *cell = &r->cell[candidate];

	cell->is_completed = true;
	cell->is_complete_pending = b->candidate[candidate].state == VETO_LIVE;
	cell->token = cell->asked; /* and is asked nothing more */
}

void board_reject(struct board *b, struct rule *r, uint32_t candidate, uint32_t token)
{
	struct candidate *c = &b->candidate[candidate];
	struct cell *cell = &r->cell[candidate];
	bool is_first = c->out_token == NEVER;
	bool may_fall = c->state == VETO_LIVE && !c->is_protected;

	cell->token = token;
	if (r->is_shadow) {
		cell->is_shadow_pending = may_fall;
		return;
	}
	if (token < c->out_token)
		c->out_token = token;
	if (!is_first || !may_fall)
		return;
	c->state = VETO_OUT;
	c->is_pending = true;
	c->pending = board_verdict(r, candidate);
}

void board_fork(struct board *b, const struct rule *by, uint32_t from, uint32_t to)
{
	struct candidate *c = &b->candidate[to], before = *c;

	*c = b->candidate[from];
	c->state = VETO_WAITING;
	c->from = from;
	c->fork_rule = by->index;
	c->is_fork_pending = true;
	c->is_pending = before.is_pending;
	c->pending = before.pending;
	for (uint32_t i = 0; i < b->rules; i++) {
		struct rule *r = &b->rule[i];
		struct cell *cell = &r->cell[to], unread = *cell;

		*cell = r->cell[from];
		cell->is_shadow_pending = unread.is_shadow_pending;
		cell->asked = 0; /* its questions are the other's */
		cell->is_ask_pending = cell->is_completed = cell->is_complete_pending = false;
		if (unread.is_shadow_pending) {
			cell->token = unread.token;
			cell->score = unread.score;
			cell->threshold = unread.threshold;
		}
		memcpy(&r->window[(size_t)to * r->entries], &r->window[(size_t)from * r->entries],
			r->entries * sizeof(*r->window));
	}
}

struct ratio ratio_of(int64_t q20)
{
	struct ratio r = {.den = 1};

	for (;; r.den *= 10) {
		int64_t error;

		r.num = (q20 * r.den + ONE_Q20 / 2) >> 20;
		error = (r.num << 20) - q20 * r.den;
		if (r.den == 10000000 || (2 * error >= -r.den && 2 * error <= r.den))
			return r;
	}
}

uint32_t ceil_ratio(uint32_t n, struct ratio ratio) { return (uint32_t)((n * ratio.num + ratio.den - 1) / ratio.den); }

int policy_check_rungs(const char *policy, const struct veto_values *values, int param, char *why)
{
	const int64_t *rung = values->value[param];

	for (uint32_t i = 1; i < values->count[param]; i++)
		if (rung[i] <= rung[i - 1])
			return param_fail(-EINVAL, why, "%s: rungs: %lld does not lie above %lld", policy,
				(long long)rung[i], (long long)rung[i - 1]);
	return 0;
}
