/* SPDX-License-Identifier: Apache-2.0 */
/* Scores as JSON, as a table, and their differences. */
#include "score_print.h"
#include "json.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

static void print_list(const char *key, const uint32_t *list, uint32_t count)
{
	printf(",\"%s\":[", key);
	for (uint32_t i = 0; i < count && list[i] != VETO_NO_TOKEN; i++)
		printf("%s%" PRIu32, i ? "," : "", list[i]);
	printf("]");
}

static void print_field(const struct veto_score *score, int field)
{
	if (score->has >> field & 1)
		printf(",\"%s_%s\":%" PRId64, veto_fields[field].name, veto_fields[field].unit,
			score->field[field].low);
}

/* A state for a head. */
static void print_state_json(const struct scored_row *row)
{
	const struct veto_score *score = row->score;
	const bool is_bad = score->flags & VETO_BAD_STATE;

	printf("{\"row\":%" PRIu32 ",\"status\":\"%s\"", row->index, is_bad ? "bad_state" : "ok");
	print_field(score, VETO_SELF_CERTAINTY);
	if (row->head->kind == VETO_HEAD_DENSE && !is_bad) {
		printf(",\"head_q16\":[");
		for (uint32_t i = 0; i < row->head->outputs; i++)
			printf("%s%" PRId32, i ? "," : "", row->head_q16[i]);
		printf("]");
		if (row->head->is_probability)
			print_field(score, VETO_REWARD);
		else
			printf(",\"reward_q16\":%" PRId64, score->field[VETO_REWARD].low / (1 << 15));
	}
	printf(",\"source\":\"%s\"}\n", row->head->kind == VETO_HEAD_SCH ? "sch" : "head");
}

void score_print_json(const struct scored_row *row)
{
	const struct veto_score *score = row->score;

	if (row->head) {
		print_state_json(row);
		return;
	}

	printf("{\"row\":%" PRIu32 ",\"status\":\"%s\",\"vocab\":%" PRIu32 ",\"nan\":%" PRIu32
	       ",\"saturated\":%" PRIu32,
		row->index, score->flags & VETO_EMPTY ? "empty" : "ok", row->record->cnt, row->record->n_nan,
		row->record->n_sat);
	for (int i = 0; i < VETO_SUBSET_FIRST; i++)
		print_field(score, i);
	if (row->rows->top_k > 0)
		print_list("top_ids", row->top_id, row->rows->top_k);
	if (score->has >> VETO_SUBSET_FIRST & 1)
		print_list("subset_q31", row->subset_q31, row->rows->subset_tokens);
	print_field(score, VETO_SUBSET_MASS);
	printf(",\"source\":\"exact\"}\n");
}

static const struct {
	enum veto_field field;
	const char *head;
} columns[] = {
	{VETO_SELF_CERTAINTY, "self-cert"},
	{VETO_ENTROPY, "entropy"},
	{VETO_LSE, "lse"},
	{VETO_MEAN, "mean"},
	{VETO_TOP1_LOGP, "top1-logp"},
	{VETO_MARGIN, "margin"},
	{VETO_TOPK_CONFIDENCE, "topk-conf"},
	{VETO_TOKEN_LOGP, "token-logp"},
	{VETO_SUBSET_MASS, "mass"},
};

#define COLUMNS (sizeof(columns) / sizeof(*columns))

static bool is_wanted(const struct veto_rows *rows, enum veto_field field)
{
	if (field == VETO_TOKEN_LOGP)
		return rows->token;
	if (field == VETO_SUBSET_MASS)
		return rows->subset_tokens > 0;
	return field != VETO_TOPK_CONFIDENCE || rows->top_k > 0;
}

static void print_state_head(const struct veto_head_info *head)
{
	printf("%7s %-9s", "row", "status");
	if (head->kind == VETO_HEAD_SCH) {
		printf(" %10s (nats)\n", "self-cert");
		return;
	}
	printf(" %12s", "reward");
	for (uint32_t i = 0; i < head->outputs; i++)
		printf("  output(%2" PRIu32 ")", i);
	printf("\n");
}

static void print_state(const struct scored_row *row)
{
	const struct veto_score *score = row->score;
	const int field = row->head->kind == VETO_HEAD_SCH ? VETO_SELF_CERTAINTY : VETO_REWARD;

	printf("%7" PRIu32 " %-9s", row->index, score->flags & VETO_BAD_STATE ? "bad_state" : "ok");
	if (!(score->has >> field & 1))
		printf(" %10s", "-");
	else if (field == VETO_SELF_CERTAINTY)
		printf(" %10.5f", (double)score->field[field].low / 0x1p20);
	else
		printf(" %12.7f", (double)score->field[field].low / 0x1p31);
	for (uint32_t i = 0; i < row->head->outputs && score->has >> VETO_REWARD & 1; i++)
		printf(" %11.5f", row->head_q16[i] / 0x1p16);
	printf("\n");
}

void score_print_table_head(const struct veto_rows *rows, const struct veto_head_info *head)
{
	if (head) {
		print_state_head(head);
		return;
	}
	printf("%7s %-6s %7s", "row", "status", "vocab");
	for (size_t i = 0; i < COLUMNS; i++)
		if (is_wanted(rows, columns[i].field))
			printf(" %10s", columns[i].head);
	for (uint32_t i = 0; i < rows->subset_tokens; i++)
		printf("  p(%7" PRIu32 ")", rows->subset[i]);
	printf("  best (nats; probabilities of 1)\n");
}

void score_print_table(const struct scored_row *row)
{
	const struct veto_score *score = row->score;

	if (row->head) {
		print_state(row);
		return;
	}
	printf("%7" PRIu32 " %-6s %7" PRIu32, row->index, score->flags & VETO_EMPTY ? "empty" : "ok", row->record->cnt);
	for (size_t i = 0; i < COLUMNS; i++) {
		enum veto_field field = columns[i].field;
		double unit = veto_fields[field].unit[1] == '3' ? 0x1p31 : 0x1p20;

		if (!is_wanted(row->rows, field))
			continue;
		if (score->has >> field & 1)
			printf(" %10.5f", (double)score->field[field].low / unit);
		else
			printf(" %10s", "-");
	}
	for (uint32_t i = 0; i < row->rows->subset_tokens; i++)
		printf("  %10.7f", row->subset_q31[i] / 0x1p31);
	if (row->rows->top_k > 0 && row->top_id[0] != VETO_NO_TOKEN)
		printf("  %" PRIu32, row->top_id[0]);
	if (row->record->n_nan)
		printf("  nan=%" PRIu32, row->record->n_nan);
	if (row->record->n_sat)
		printf("  saturated=%" PRIu32, row->record->n_sat);
	printf("\n");
}

struct difference {
	FILE *out;
	bool is_json;
	uint32_t row;
	const char *uri_a, *uri_b;
	unsigned count;
};

static void compare(struct difference *d, const char *field, int64_t a, int64_t b)
{
	if (a == b)
		return;
	d->count++;
	if (!d->is_json) {
		fprintf(d->out, "difference: row %" PRIu32 " %s: %" PRId64 " (%s), %" PRId64 " (%s)\n", d->row, field,
			a, d->uri_a, b, d->uri_b);
		return;
	}
	fprintf(d->out, "{\"difference\":{\"row\":%" PRIu32 ",\"field\":\"%s\",\"values\":[{\"device\":", d->row,
		field);
	json_write_string(d->out, d->uri_a);
	fprintf(d->out, ",\"value\":%" PRId64 "},{\"device\":", a);
	json_write_string(d->out, d->uri_b);
	fprintf(d->out, ",\"value\":%" PRId64 "}]}}\n", b);
}

static void compare_record(struct difference *d, const struct veto_record *a, const struct veto_record *b)
{
	compare(d, "n", a->n, b->n);
	compare(d, "ymax", a->ymax, b->ymax);
	compare(d, "cnt", a->cnt, b->cnt);
	compare(d, "n_nan", a->n_nan, b->n_nan);
	compare(d, "n_sat", a->n_sat, b->n_sat);
	compare(d, "sumy", a->sumy, b->sumy);
	compare(d, "s", (int64_t)a->s, (int64_t)b->s);
	compare(d, "t", (int64_t)a->t, (int64_t)b->t);
}

unsigned score_print_differences(FILE *out, bool is_json, const struct scored_row *a, const char *uri_a,
	const struct scored_row *b, const char *uri_b)
{
	struct difference d = {out, is_json, a->index, uri_a, uri_b, 0};
	char name[40];

	if (!a->head)
		compare_record(&d, a->record, b->record);
	compare(&d, "has", a->score->has, b->score->has);
	compare(&d, "flags", a->score->flags, b->score->flags);
	for (int i = 0; i < VETO_FIELDS; i++)
		if (a->score->has & b->score->has & 1u << i)
			compare(&d, veto_fields[i].name, a->score->field[i].low, b->score->field[i].low);
	for (uint32_t i = 0; a->head && i < a->head->outputs; i++) {
		snprintf(name, sizeof(name), "head_q16[%" PRIu32 "]", i);
		compare(&d, name, a->head_q16[i], b->head_q16[i]);
	}
	for (uint32_t i = 0; !a->head && i < a->rows->top_k; i++) {
		snprintf(name, sizeof(name), "top_ids[%" PRIu32 "]", i);
		compare(&d, name, a->top_id[i], b->top_id[i]);
	}
	for (uint32_t i = 0; !a->head && i < a->rows->subset_tokens; i++) {
		snprintf(name, sizeof(name), "subset_q31[%" PRIu32 "]", i);
		compare(&d, name, a->subset_q31[i], b->subset_q31[i]);
	}
	return d.count;
}
