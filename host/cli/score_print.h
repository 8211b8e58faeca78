/* SPDX-License-Identifier: Apache-2.0 */
/* Scores as JSON, as a table, and their differences. */
#ifndef VETO_SCORE_PRINT_H
#define VETO_SCORE_PRINT_H

#include "veto.h"

#include <stdio.h>

/* Everything about one row. */
struct scored_row {
	const struct veto_rows *rows;
	uint32_t index; /* in the file */
	const struct veto_score *score;
	const struct veto_record *record;
	const uint32_t *top_id, *subset_q31;
	const struct veto_head_info *head; /* of a hidden state; NULL: of logits */
	const int32_t *head_q16; /* [head->outputs] */
};

void score_print_json(const struct scored_row *row);
/* head: as in struct scored_row. */
void score_print_table_head(const struct veto_rows *rows, const struct veto_head_info *head);
void score_print_table(const struct scored_row *row);

/* Print where b, found by device uri_b, differs from a, a line a field: of text or JSON.  Returns how often. */
unsigned score_print_differences(FILE *out, bool is_json, const struct scored_row *a, const char *uri_a,
	const struct scored_row *b, const char *uri_b);

#endif
