/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of a policy with a free number, from one that rejects nothing to the most aggressive. */
#ifndef VETO_SETTINGS_H
#define VETO_SETTINGS_H

#include "evaluation.h"

#define SETTINGS 51

struct settings {
	char *text[SETTINGS];
	struct setting setting[SETTINGS];
};

/* Those of a policy in which one number is free, written key=?: threshold of floor, by the scores of the right candidates of
 * the fit part, or keep.  EXIT_MISUSED or EXIT_FAILED, having said what is wrong; settings_free() all the same. */
int settings_make(const char *command, const char *policy, const char *select, const struct trace *trace,
	const enum part *part, struct settings *out);
void settings_free(struct settings *settings);

#endif
