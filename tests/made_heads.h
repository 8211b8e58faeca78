/* SPDX-License-Identifier: Apache-2.0 */
/* Dense heads of integers that no training gives. */
#ifndef VETO_TESTS_MADE_HEADS_H
#define VETO_TESTS_MADE_HEADS_H

#include "head.h"
#include "rows.h"

/* Of any integers; or of small ones, whose sums come to lie between two results. */
struct made {
	struct veto_head head;
	bool is_tied;
};

/* With one layer. */
struct made *made_new(uint32_t rows, uint32_t cols, enum veto_weight_format format, bool is_tied, struct dice *dice);
void made_free(struct made *m);

/* Append a layer. */
void made_add(struct made *m, uint32_t rows, enum veto_weight_format format, struct dice *dice);

/* Every weight, scale and bias is at the end of its range, and sums fill theirs. */
struct veto_head *made_largest(enum veto_weight_format format, int sign, bool is_distance);
struct veto_head *made_largest_table(int sign);
void made_head_free(struct veto_head *head);

#endif
