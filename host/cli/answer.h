/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: found in a candidate's text, brought to one form, named by a key. */
#ifndef VETO_ANSWER_H
#define VETO_ANSWER_H

#include <regex.h>
#include <stddef.h>
#include <stdint.h>

#define ANSWER_MAX 256

struct answer_rule {
	int (*find)(const struct answer_rule *rule, const char *text, char *out);
	regex_t regex; /* regex: only */
};

/* "last-number", "last-line", "boxed", "letter" or "regex:EXPRESSION" (POSIX extended; its first group, or the whole
 * match, of the last match).  -EINVAL: `why` quotes it. */
int answer_rule_parse(const char *text, struct answer_rule *out, char *why);
void answer_rule_free(struct answer_rule *rule);

/* The answer in text, in one form: no outer blanks, quotes and closing punctuation, lower case, numbers without commas
 * and trailing zeros.  -ENOENT: none. */
int answer_find(const struct answer_rule *rule, const char *text, char out[ANSWER_MAX]);
/* Bring an answer, such as a known one, to that form. */
void answer_normalise(const char *answer, char out[ANSWER_MAX]);

/* Equal answers, equal keys; never 0. */
uint64_t answer_key(const char *answer);

#endif
