/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: found in a candidate's text, brought to one form, named by a key. */
#include "answer.h"
#include "hash.h"
#include "param.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define BLANKS " \t\r\n"

static int copy(const char *start, size_t length, char *out)
{
	if (length >= ANSWER_MAX)
		length = ANSWER_MAX - 1;
	memcpy(out, start, length);
	out[length] = 0;
	return length > 0 ? 0 : -ENOENT;
}

static bool are_digits(const char *s, size_t count)
{
	while (count > 0 && isdigit((unsigned char)*s)) {
		s++;
		count--;
	}
	return count == 0;
}

/* Length of the number that starts at s, with commas before each three digits, and a fraction; 0: none. */
static size_t number_length(const char *s)
{
	size_t i = *s == '-' || *s == '+';

	if (!isdigit((unsigned char)s[i]))
		return 0;
	while (isdigit((unsigned char)s[i]) ||
		(s[i] == ',' && are_digits(s + i + 1, 3) && !isdigit((unsigned char)s[i + 4])))
		i++;
	if (s[i] == '.' && isdigit((unsigned char)s[i + 1]))
		for (i++; isdigit((unsigned char)s[i]);)
			i++;
	return i;
}

static int find_last_number(const struct answer_rule *rule, const char *text, char *out)
{
	const char *last = NULL, *start = text;
	size_t last_length = 0;

	(void)rule;
	while (*text) {
		/* The sign of 3-5 is none. */
		bool is_after = text > start && isalnum((unsigned char)text[-1]);
		size_t length = is_after && !isdigit((unsigned char)*text) ? 0 : number_length(text);

		if (length > 0) {
			last = text;
			last_length = length;
		}
		text += length > 0 ? length : 1;
	}
	return last ? copy(last, last_length, out) : -ENOENT;
}

static int find_last_line(const struct answer_rule *rule, const char *text, char *out)
{
	size_t end = strlen(text);
	size_t start;

	(void)rule;
	while (end > 0 && strchr(BLANKS, text[end - 1]))
		end--;
	for (start = end; start > 0 && text[start - 1] != '\n'; start--)
		;
	return copy(text + start, end - start, out);
}

/* The content of the last \boxed{...}, with its inner braces. */
static int find_boxed(const struct answer_rule *rule, const char *text, char *out)
{
	const char *last = NULL;
	size_t length = 0;
	int depth = 1;

	(void)rule;
	while ((text = strstr(text, "\\boxed{"))) {
		text += strlen("\\boxed{");
		last = text;
	}
	if (!last)
		return -ENOENT;
	for (; last[length]; length++) {
		depth += (last[length] == '{') - (last[length] == '}');
		if (depth == 0)
			return copy(last, length, out);
	}
	return -ENOENT;
}

/* The last capital letter A to Z that stands alone. */
static int find_letter(const struct answer_rule *rule, const char *text, char *out)
{
	(void)rule;
	for (size_t i = strlen(text); i-- > 0;) {
		bool is_alone =
			(i == 0 || !isalnum((unsigned char)text[i - 1])) && !isalnum((unsigned char)text[i + 1]);

		if (text[i] >= 'A' && text[i] <= 'Z' && is_alone)
			return copy(&text[i], 1, out);
	}
	return -ENOENT;
}

static int find_regex(const struct answer_rule *rule, const char *text, char *out)
{
	regmatch_t match[2];
	int err = -ENOENT;
	int flags = 0;

	while (regexec(&rule->regex, text, 2, match, flags) == 0) {
		const regmatch_t *m = rule->regex.re_nsub > 0 && match[1].rm_so >= 0 ? &match[1] : &match[0];

		err = copy(text + m->rm_so, (size_t)(m->rm_eo - m->rm_so), out);
		text += match[0].rm_eo;
		flags = REG_NOTBOL;
		if (match[0].rm_eo == match[0].rm_so && !*text++)
			break;
	}
	return err;
}

int answer_rule_parse(const char *text, struct answer_rule *out, char *why)
{
	static const struct {
		const char *name;
		int (*find)(const struct answer_rule *rule, const char *text, char *out);
	} rules[] = {
		{"last-number", find_last_number},
		{"last-line", find_last_line},
		{"boxed", find_boxed},
		{"letter", find_letter},
	};
	char message[128];
	int err;

	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		if (strcmp(rules[i].name, text) == 0) {
			out->find = rules[i].find;
			return 0;
		}
	}
	if (strncmp(text, "regex:", 6) != 0)
		return param_fail(-EINVAL, why,
			"--answer %s: expected last-number, last-line, boxed, letter or regex:EXPRESSION", text);
	err = regcomp(&out->regex, text + 6, REG_EXTENDED | REG_NEWLINE);
	if (err) {
		regerror(err, &out->regex, message, sizeof(message));
		return param_fail(-EINVAL, why, "--answer %s: %s", text, message);
	}
	out->find = find_regex;
	return 0;
}

void answer_rule_free(struct answer_rule *rule)
{
	if (rule->find == find_regex)
		regfree(&rule->regex);
	rule->find = NULL;
}

/* Drop commas, a plus sign and a fraction's trailing zeros. */
static void normalise_number(char *text)
{
	char *to = text;
	bool has_point = false;

	for (const char *from = *text == '+' ? text + 1 : text; *from; from++) {
		has_point |= *from == '.';
		if (*from != ',')
			*to++ = *from;
	}
	while (has_point && to > text && to[-1] == '0')
		to--;
	if (has_point && to > text && to[-1] == '.')
		to--;
	*to = 0;
}

void answer_normalise(const char *answer, char out[ANSWER_MAX])
{
	size_t length;

	answer += strspn(answer, BLANKS "\"'`*$(");
	length = strlen(answer);
	while (length > 0 && strchr(BLANKS "\"'`*$).,;:!?", answer[length - 1]))
		length--;
	copy(answer, length, out);
	for (char *c = out; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (*out && number_length(out) == strlen(out))
		normalise_number(out);
}

int answer_find(const struct answer_rule *rule, const char *text, char out[ANSWER_MAX])
{
	char raw[ANSWER_MAX];
	int err = rule->find(rule, text, raw);

	if (err)
		return err;
	answer_normalise(raw, out);
	return *out ? 0 : -ENOENT;
}

uint64_t answer_key(const char *answer)
{
	uint64_t hash = hash_bytes(HASH_START, answer, strlen(answer));

	return hash ? hash : 1;
}
