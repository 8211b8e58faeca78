/* SPDX-License-Identifier: Apache-2.0 */
/* A session under test: rules given as text, events in one call each. */
#ifndef VETO_TESTS_PROMPT_H
#define VETO_TESTS_PROMPT_H

#include "check.h"
#include "veto.h"

#define NATS(x) ((int64_t)((x) * (1 << 20)))

/* A session whose rules stand in text, separated by blanks. */
struct veto_session *prompt_new(const char *rules, uint32_t candidates, uint32_t cohort, uint32_t max_tokens);
void prompt_open(struct veto_session *s, uint32_t candidate);
void prompt_open_all(struct veto_session *s, uint32_t candidates);
/* A token whose every field is so many nats (Q31 fields: the same of 1). */
void prompt_token(struct veto_session *s, uint32_t candidate, double nats);
void prompt_push_token(struct veto_session *s, uint32_t candidate, double nats, bool ends_step);
/* Tokens without a score, a letter each: its code is the id. */
void prompt_spell(struct veto_session *s, uint32_t candidate, const char *letters);
/* A token without a score. */
void prompt_blank(struct veto_session *s, uint32_t candidate);
void prompt_tokens(struct veto_session *s, uint32_t candidate, const double *nats, uint32_t tokens);
void prompt_close(struct veto_session *s, uint32_t candidate, uint64_t answer);
void prompt_lose(struct veto_session *s, uint32_t candidate);
/* The model's reply to the candidate's question of a rule. */
void prompt_reply(struct veto_session *s, uint32_t candidate, uint32_t rule, double yes);
/* A token behind which texts end that these rules wait for. */
void prompt_mark(struct veto_session *s, uint32_t candidate, uint32_t marks);
/* End the round; the verdicts as text: "R2@64" (candidate 2 rejected at token 64), "S1" settled, "(R2@64)" in
 * shadow, "F2=0@9" a fork of candidate 0 after its token 9, "A2.1@9" question 1 about candidate 2, "C2@9" it is complete. */
const char *prompt_round(struct veto_session *s);
enum veto_state prompt_state(const struct veto_session *s, uint32_t candidate);
/* The chosen answer of the last rule in text; 0: none. */
struct veto_choice prompt_select(struct veto_session *s, uint32_t rule);

#endif
