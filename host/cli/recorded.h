/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded candidates, played through rules as if they were live. */
#ifndef VETO_RECORDED_H
#define VETO_RECORDED_H

#include "calibrated.h"
#include "split.h"

/* Read the recordings that are named from argv[optind] on, at least one, and say what is left out; to play them: rules that stop
 * must not have been in force.  EXIT_DONE, or EXIT_MISUSED having said why. */
int recorded_read(const char *command, int argc, char **argv, bool to_play, struct trace *out);

/* "top-k:K": keep of the scores what the K likeliest tokens tell, as a server lists them; NULL: leave them.  EXIT_MISUSED or
 * EXIT_FAILED, having said why. */
int recorded_as(const char *command, const char *text, struct trace *t);

/* How the candidates were generated, as policy files state it; head: checksum of the rewards' head, or NULL. */
struct usage recorded_usage(const struct trace *t);

/* That a head has not learned from the questions of a part, which would flatter its rewards.  EXIT_MISUSED, having said so. */
int recorded_check_part(const char *command, const struct trace *t, const enum part *part, enum part wanted);

/* Whether rules read recorded rewards of a head that may have learned from any of the questions; why: says so. */
bool recorded_is_unchecked(const struct trace *t, const struct veto_rule *rule, uint32_t rules, char why[VETO_WHY_MAX]);

/* What came of a question. */
struct played {
	uint64_t tokens; /* that were written */
	uint64_t unfinished; /* of these, by candidates that never finish in the recording */
	uint32_t rounds; /* in which candidates wrote one each, a cohort's at a time: the longest chain */
	uint32_t right, right_rejected; /* candidates */
	bool is_right; /* a candidate with the chosen answer is */
};

/* What came of a candidate. */
struct fate {
	uint32_t tokens; /* that were written */
	uint32_t rejected_at; /* after so many tokens; 0: never */
	uint32_t rule; /* that rejected it */
	double score, threshold; /* by which: nats, or of a reward its probability, as the rule reads it */
};

/* Play a question in lockstep: in each round every candidate that is being written has its next token, in index order, and
 * `cohort` are written at a time.  The last rule selects; rules that fork are refused by recorded_check().  fate
 * [candidates] may be NULL.  Errors as veto_session_new(). */
int recorded_play(const struct trace *trace, const struct trace_question *question, const struct veto_rule *rule,
	uint32_t rules, struct played *out, struct fate *fate, char *why);

/* How recordings are played; NULL and 0: as they are. */
struct recorded_how {
	const char *as, *head_path;
	int64_t cohort; /* candidates that are written at a time */
	int64_t vocab; /* tokens of the model, where the recording does not state them */
};
/* Read recordings to play them, as recorded_read() and recorded_as(), with the rewards of a head. */
int recorded_open(const char *command, int argc, char **argv, const struct recorded_how *how, struct trace *out);
/* An option of them: 'k' as, 'g' head, 'c' cohort, 'V' vocabulary.  EXIT_MISUSED, having said why. */
int recorded_option(const char *command, int option, const char *text, struct recorded_how *how);
#define RECORDED_OPTIONS                                                                                               \
	{"as", required_argument, NULL, 'k'}, {"head", required_argument, NULL, 'g'},                                  \
		{"cohort", required_argument, NULL, 'c'},                                                              \
	{                                                                                                              \
		"vocab", required_argument, NULL, 'V'                                                                  \
	}

/* Errors as veto_session_new(); -EINVAL also for a rule that forks, which recorded candidates can't, that reads a score
 * which some candidate lacks, or ranks by a reward where none was recorded. */
int recorded_check(const struct trace *trace, const struct veto_rule *rule, uint32_t rules, char *why);

#endif
