/* SPDX-License-Identifier: Apache-2.0 */
/* Journals judged again: the recorded events through a new session, whose verdicts must be the recorded ones. */
#ifndef VETO_REPLAY_H
#define VETO_REPLAY_H

#include "journal.h"

struct replay {
	uint64_t prompts, rounds, tokens;
	uint64_t verdicts, choices; /* that are in the journal */
	uint64_t different; /* verdicts and choices that are not those found again */
	uint32_t unfinished; /* 1: the last prompt has no choice, because the recording ends there */
	size_t torn; /* bytes at the end that are no whole record */
	bool is_whole;
};

/* Judge a journal that was just opened again.  differs is called for each difference, text in one line.
 *   -EINVAL  it is damaged, or holds what no session would have taken; `why` gives the offset
 *   -ENOMEM */
int replay_journal(struct journal_reader *reader, void (*differs)(void *arg, const char *text), void *arg,
	struct replay *out, char *why);

#endif
