/* SPDX-License-Identifier: Apache-2.0 */
/* TS1 (hls/arithmetic.md): statistics of a candidate's token scores, which a head's reward may count on. */
#ifndef VETO_STATISTICS_H
#define VETO_STATISTICS_H

#include "veto.h"

#define STATISTICS_MAX 32 /* of a head */
#define STATISTICS_FIELDS 6 /* scores that statistics are made of */
#define STATISTIC_NAME_MAX 40

enum statistic_kind {
	STATISTIC_MEAN, /* of a score over the tokens so far */
	STATISTIC_MIN,
	STATISTIC_STEP_MEAN, /* over those of the current step */
	STATISTIC_STEP_MIN,
	STATISTIC_TOKENS, /* how many there are so far */
	STATISTIC_STEP_TOKENS, /* in the current step */
	STATISTIC_STEPS, /* the current one among them */
	STATISTIC_KINDS
};
#define STATISTIC_OF_A_SCORE(kind) ((kind) < STATISTIC_TOKENS)

struct statistic {
	enum statistic_kind kind;
	uint32_t field; /* enum veto_field, of those that are of a score */
};

/* What is known of a candidate's tokens; all zero before the first. */
struct statistics {
	struct {
		int64_t sum, min;
		uint32_t usable;
	} of[2][STATISTICS_FIELDS]; /* of all tokens, and of those of the current step */
	uint32_t tokens, step_tokens, steps;
	bool is_step_over; /* the next token begins one */
};

/* The scores that statistics are made of, bit 1u << field. */
uint32_t statistics_fields(void);

/* Its name, "step-mean:token_logp". */
void statistic_name(struct statistic s, char name[STATISTIC_NAME_MAX]);
/* The statistic of that name, of so many letters.  -EINVAL: there is none */
int statistic_find(const char *name, size_t letters, struct statistic *out);

/* Take in the next token, with its score, and whether a step ends with it. */
void statistics_add(struct statistics *all, const struct veto_score *score, bool ends_step);

/* Its value, Q16 nats, or Q16 of a count divided by 64, within +-(2^22 - 1); false: no token had such a score. */
bool statistics_value(const struct statistics *all, struct statistic s, int32_t *q16);

#endif
