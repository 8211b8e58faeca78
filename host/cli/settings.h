/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of a policy with a free number, from one that rejects nothing to the most aggressive. */
#ifndef VETO_SETTINGS_H
#define VETO_SETTINGS_H

#include "evaluation.h"

#define SETTINGS 100

struct settings {
	uint32_t free_rule; /* of each setting's rules, that with the free number */
	char *text[SETTINGS];
	struct setting setting[SETTINGS];
};

/* Those of a policy, one rule or several joined, in which one number is free: threshold=? of floor, by the scores of the
 * fit part's candidates, most of them up to the loss of the share `most` of its right
 * ones; keep=?, from 1 down; or any key=?FROM..TO, evenly.  EXIT_MISUSED or EXIT_FAILED, having said
 * what is wrong; settings_free() all the same. */
int settings_make(const char *command, const char *policy, const char *select, const struct trace *trace,
	const enum part *part, double most, struct settings *out);
void settings_free(struct settings *settings);

#endif
