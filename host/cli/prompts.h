/* SPDX-License-Identifier: Apache-2.0 */
/* The prompts of a run: one from the command line, or a file of JSON Lines. */
#ifndef VETO_PROMPTS_H
#define VETO_PROMPTS_H

#include <stdint.h>

struct prompt {
	char *id, *text, *answer; /* answer NULL: not known */
};

struct prompts {
	struct prompt *list;
	uint32_t count;
};

/* One object a line: {"id", "prompt", "answer"?}; empty lines count for nothing.  Errors quote file, line and column. */
int prompts_read(const char *path, struct prompts *out, char *why);
/* One prompt whose id is "1". */
int prompts_one(const char *text, struct prompts *out, char *why);
void prompts_free(struct prompts *prompts);

#endif
