/* SPDX-License-Identifier: Apache-2.0 */
/* Which questions are for what: fitting, calibrating, or the test. */
#ifndef VETO_SPLIT_H
#define VETO_SPLIT_H

#include "trace.h"

enum part { PART_FIT, PART_CALIBRATE, PART_TEST, PARTS };
extern const char *const part_names[PARTS];

struct split {
	const char *text; /* as given; NULL: none */
	double share[PARTS]; /* all 0: text is the path of a file */
	uint64_t seed; /* of the draw */
};

/* The part of that name, or PARTS. */
enum part part_find(const char *name);

/* Three shares, such as "0.3,0.4,0.3", or the path of a JSON file {question: part}; EXIT_MISUSED, having said so, if it is
 * neither. */
int split_read(const char *command, const char *text, struct split *out);

/* The seed of the draw from an option's value; EXIT_MISUSED, having said so, if it is none. */
int split_read_seed(const char *command, const char *text, struct split *out);

/* The part of every question, PARTS: in none, to be freed; NULL without a split, or having said what is wrong, with
 * *status the exit code.  By shares, questions of the same text are in the same part. */
enum part *split_parts(const char *command, const struct split *split, const struct trace *trace, int *status);

#endif
