/* SPDX-License-Identifier: Apache-2.0 */
/* libveto: scores for the tokens of language models, bit for bit the same on every device, and verdicts on candidates. */
#ifndef VETO_H
#define VETO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "veto_hw.h"

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* Functions that can fail return 0 or a negative errno, and leave their results untouched on failure.  Those that read
 * human text take `why`, a buffer of VETO_WHY_MAX bytes or NULL, and say there what was wrong. */
#define VETO_WHY_MAX 512

/* The library's version, "major.minor.patch". */
const char *veto_version(void);

/* --- Scores ----------------------------------------------------------------------------------------------------------
 * Facts about one row of logits l[0..V-1], with p = softmax(l), LSE = log sum exp l, masked entries left out of every
 * sum and of V.  hls/arithmetic.md gives the integers; the unit is Q20 nats (1 nat = 2^20) or Q31 (1.0 = 2^31). */
enum veto_field {
	VETO_SELF_CERTAINTY, /* LSE - mean(l) - log V: KL from uniform to p (arXiv 2502.18581) */
	VETO_ENTROPY, /* LSE - sum p l */
	VETO_LSE,
	VETO_MEAN, /* mean(l) */
	VETO_TOP1_LOGP, /* log-probability of the likeliest token */
	VETO_MARGIN, /* likeliest logit less the second */
	VETO_TOPK_CONFIDENCE, /* minus the mean log-probability of the k likeliest (DeepConf, arXiv 2508.15260) */
	VETO_TOKEN_LOGP, /* log-probability of the sampled token */
	VETO_SUBSET_FIRST, /* Q31: probability of the subset's first token among the subset */
	VETO_SUBSET_MASS, /* Q31: probability of the subset among all */
	VETO_REWARD, /* Q31: of a head, for a hidden state */
	VETO_SC_LOWER, /* the self-certainty is at least this, where only the likeliest tokens are known */
	VETO_FIELDS
};

struct veto_field_info {
	const char *name; /* as in JSON, less the unit: "self_certainty" */
	const char *unit; /* "q20" (nats) or "q31" */
	int sign; /* -1: a higher value is less confident; policies read it negated */
	bool may_be_negative;
};
extern const struct veto_field_info veto_fields[VETO_FIELDS];

/* The field of that name, or -ENOENT. */
int veto_field_find(const char *name);

/* Equal ends: exact.  high INT64_MAX: no upper bound is known. */
struct veto_interval {
	int64_t low, high;
};

enum veto_score_flag {
	VETO_EMPTY = 1, /* every entry masked: no field is defined */
	VETO_NAN = 2, /* the row has NaN entries */
	VETO_SATURATED = 4, /* the row has entries above 1024 */
	VETO_BAD_STATE = 8, /* the hidden state has NaN or infinite values: no field is defined */
};

struct veto_score {
	uint32_t has; /* bit 1u << field: the field is defined for this row */
	uint32_t flags; /* enum veto_score_flag */
	struct veto_interval field[VETO_FIELDS];
};

/* --- Heads -----------------------------------------------------------------------------------------------------------
 * What scores hidden states, from a file: a dense head gives a reward; a table gives the exact self-certainty, with the
 * sampled token's log-probability (hls/arithmetic.md). */
enum veto_head_kind { VETO_HEAD_DENSE, VETO_HEAD_SCH };

struct veto_head_info {
	enum veto_head_kind kind;
	const char *shape; /* the name of its sort: "qwen-prm", "sch" */
	const char *
		output; /* VETO_HEAD_DENSE: "softmax:1", the class or classes whose probability is the reward; "sigmoid";
			     * "raw" or "distance", which are no probabilities */
	const char *aggregation; /* of steps: last, mean, product, min, geometric-mean, or max-pool */
	const char *tap; /* which hidden state it reads: "final_norm", "layer:-2"; "none" */
	const char *backbone; /* fingerprint of the model that makes the states, or "any" */
	const char *quantisation; /* of that model's file, or "" */
	const char *checksum; /* of the head's file: SHA-256, in hexadecimal digits */
	uint32_t cols; /* values of a state; 0: it reads none */
	uint32_t layers, width, outputs; /* VETO_HEAD_DENSE: 1 or 2, or 0 if it reads no state; values between two
					  * layers, else 0; 1..64 */
	uint32_t
		statistics; /* VETO_HEAD_DENSE: of token scores, which the reward counts on: a stream gives it, a device
			      * by itself the outputs of the state only */
	enum veto_weight_format weights;
	uint32_t vocab; /* VETO_HEAD_SCH: tokens */
	bool is_probability; /* the reward lies in 0..1 */
};

/* Sorts of heads that a device may or may not score with. */
enum veto_head_sort { VETO_ONE_LAYER, VETO_TWO_LAYERS, VETO_TABLE, VETO_HEAD_SORTS };
extern const char *const veto_head_sort_names[VETO_HEAD_SORTS];

struct veto_head;

/* Read a head file.
 *   -ENOENT and others of open()
 *   -EINVAL  no head file, another version of file or arithmetic, another checksum, or a number out of range; see `why`
 *   -ENOMEM */
int veto_head_open(const char *path, struct veto_head **out, char *why);
/* NULL is ignored. */
void veto_head_close(struct veto_head *head);
const struct veto_head_info *veto_head_info(const struct veto_head *head);
enum veto_head_sort veto_head_sort(const struct veto_head *head);

/* --- Devices ---------------------------------------------------------------------------------------------------------
 * A device serves one thread at a time; different devices may serve different threads. */
enum veto_format { VETO_FP32, VETO_FP16, VETO_BF16, VETO_FORMATS };
extern const char *const veto_format_names[VETO_FORMATS];

/* Bytes of one value, 4 or 2. */
size_t veto_format_bytes(enum veto_format format);

enum veto_kind {
	VETO_LOGITS, /* one value a token of the vocabulary */
	VETO_HIDDEN, /* hidden states, for a head */
};

enum veto_memory {
	VETO_HOST, /* data is an address of this process */
	VETO_DEVICE, /* handle is a buffer of the device that scores */
};

#define VETO_NO_LOGP INT64_MIN

/* A log-probability in nats as Q20, to nearest; VETO_NO_LOGP where it is none: NaN, above 0.001, or below -1024 as the
 * fillers -9999 and -FLT_MAX of servers are. */
int64_t veto_logp_q20(double nats);

/* Rows of logits or of hidden states: the caller's, untouched until their job is reaped. */
struct veto_rows {
	enum veto_kind kind;
	enum veto_format format;
	enum veto_memory memory;
	uint32_t rows;
	uint32_t
		cols; /* vocabulary, 1..VETO_VOCAB_MAX; entries beyond it in a padded row count for nothing; or values of a
			* state, as many as the head reads */
	size_t stride_bytes; /* from row to row; at least cols values, any alignment */
	const void *data; /* VETO_HOST; any alignment */
	void *handle; /* VETO_DEVICE */
	const uint32_t *token; /* [rows] the sampled tokens, or NULL; VETO_NO_TOKEN: none for that row */
	const int64_t *
		token_logp_q20; /* [rows] VETO_HEAD_SCH: their log-probabilities at temperature 1, none of the table's tokens
				  * masked; VETO_NO_LOGP, above 0.001 nats or below -1024: the row has no score */
	uint32_t head; /* VETO_HIDDEN: from veto_device_load() */
	const uint32_t *subset; /* [subset_tokens], different ids below cols */
	uint32_t subset_tokens; /* 0..VETO_SUBSET_MAX */
	uint32_t top_k; /* 0..VETO_TOP_MAX: k of top_id and of the confidence; 0 leaves both out */
};

/* Where results go: arrays of rows->rows entries, NULL where not wanted. */
struct veto_results {
	struct veto_score *score;
	struct veto_record *record;
	uint32_t *top_id; /* [rows][top_k], likeliest first; VETO_NO_TOKEN where fewer are left */
	uint32_t *subset_q31; /* [rows][subset_tokens], probability of each among the subset; 0 for a masked one */
	int32_t *
		head_q16; /* VETO_HIDDEN: [rows][outputs] of a dense head, 0 for a bad state; a distance is one output */
};

struct veto_done {
	uint64_t tag;
	uint64_t device_ns; /* time the device spent on the job */
	int status; /* 0 or a negative errno: the results are then undefined.  -ETIMEDOUT and -EIO: the device is lost */
};

struct veto_device_info {
	char uri[512]; /* complete: every option with the value in force */
	const char *backend;
	uint32_t depth; /* jobs in flight at most */
	uint32_t formats; /* bit 1u << format */
	uint32_t memories; /* bit 1u << memory */
	uint32_t heads; /* bit 1u << sort; 0: scores no hidden states */
};

struct veto_device;

/* Open a device by URI: "cpu:", "cpu:isa=avx2,threads=2".
 *   -EINVAL  unknown backend or option, value out of range
 *   -ENODEV  the backend has nothing here that the URI names
 *   -ENOMEM */
int veto_device_open(const char *uri, struct veto_device **out, char *why);

/* Ends the jobs in flight, whose results are then undefined, and frees the device.  NULL is ignored. */
void veto_device_close(struct veto_device *dev);

const struct veto_device_info *veto_device_info(const struct veto_device *dev);

/* Make a head ready to score with; it stays open until it is unloaded or the device closed.  *out: for veto_rows.head.
 *   -EOPNOTSUPP  the device can't score hidden states, or not with such a head, or the head reads none
 *   -ENOSPC      VETO_HEADS_MAX are loaded, or the device's memory is full
 *   -EBUSY       a job is in flight
 * and what the device failed with. */
#define VETO_HEADS_MAX 8
int veto_device_load(struct veto_device *dev, const struct veto_head *head, uint32_t *out, char *why);
/* With no job in flight. */
void veto_device_unload(struct veto_device *dev, uint32_t head);

/* Start scoring rows into out.  Does not wait for the device.  *rows and *out are copied; what they point to stays
 * valid and untouched until veto_device_reap() returns the tag.
 *   -EAGAIN      info->depth jobs are in flight: reap first
 *   -EINVAL      cols, stride, top_k, a token or the subset out of range, or an id twice in the subset; for hidden states
 *                cols other than the head's, no such head, or a table without tokens and log-probabilities
 *   -EOPNOTSUPP  the device can't read this format or memory, or rows in its own memory come with tokens or a subset,
 *                whose logits are read on the host
 *   -ENOMEM */
int veto_device_submit(
	struct veto_device *dev, const struct veto_rows *rows, const struct veto_results *out, uint64_t tag);

/* Whether veto_device_reap() would return a job at once. */
bool veto_device_has_finished(struct veto_device *dev);

/* Wait for the next finished job, in any order of finishing; timeout_ns 0 polls, negative waits without limit.  A device
 * that scores in the caller's thread does so here, a few rows at least.
 *   -EAGAIN  none finished in time
 *   -ENOENT  none in flight */
int veto_device_reap(struct veto_device *dev, int64_t timeout_ns, struct veto_done *out);

/* Why jobs failed, as far as the device knows; "": it does not.  Behind a reaped job that failed. */
const char *veto_device_trouble(const struct veto_device *dev);

/* Submit and wait: for a device with nothing in flight.  Errors of both, and the job's. */
int veto_device_score(struct veto_device *dev, const struct veto_rows *rows, const struct veto_results *out);

/* Calls found() with a URI of every device that is present or could be: with its info, or with NULL and why it can't be
 * opened. */
void veto_device_list(
	void (*found)(void *arg, const char *uri, const struct veto_device_info *info, const char *why), void *arg);

/* --- Policies --------------------------------------------------------------------------------------------------------
 * A policy is a rule with parameters; a rule is a policy with their values. */
#define VETO_PARAMS_MAX 8
#define VETO_LIST_MAX 8
#define VETO_RULES_MAX 8
#define VETO_TEXT_MAX 256

enum veto_param_type {
	VETO_PARAM_COUNT, /* whole number */
	VETO_PARAM_Q20, /* decimal, kept as Q20: strtod, times 2^20, nearest even */
	VETO_PARAM_RATIO, /* the same, of 1 */
	VETO_PARAM_FIELD, /* name of a score */
	VETO_PARAM_CHOICE, /* one of the names in choices */
	VETO_PARAM_TEXT, /* text without commas, as of a path; no fallback, and one a table */
};

struct veto_param {
	const char *name, *help;
	enum veto_param_type type;
	/* Q20 for VETO_PARAM_Q20 and _RATIO; both ends allowed; a fallback of 0 below them: none. */
	int64_t fallback, low, high;
	const char *const *choices; /* VETO_PARAM_CHOICE: ends with NULL */
	bool is_required, is_list; /* a list is written a+b+c, VETO_LIST_MAX values at most */
};

struct veto_values {
	int64_t value[VETO_PARAMS_MAX][VETO_LIST_MAX]; /* in the order of the parameters */
	uint32_t count[VETO_PARAMS_MAX]; /* 0: not given, and no fallback */
	char text[VETO_TEXT_MAX]; /* of the VETO_PARAM_TEXT */
};

enum veto_role { VETO_REJECTS, VETO_STOPS, VETO_SELECTS };

struct veto_policy {
	const char *name, *help;
	const char *source; /* the paper the rule comes from */
	enum veto_role role;
	const struct veto_param *param; /* ends with a NULL name */
};

/* The policies, in the order of their table; NULL beyond the last. */
const struct veto_policy *veto_policy_at(size_t index);

struct veto_rule {
	const struct veto_policy *policy;
	struct veto_values values;
};

/* Read a rule: "name" or "name:key=value,...".
 *   -EINVAL  unknown name or key, a value out of range, a required one missing, values that don't go together; `why`
 *            quotes it */
int veto_rule_parse(const char *text, struct veto_rule *out, char *why);

/* Rules that are in force together, as one text. */
#define VETO_RULES_JOINED " + "
/* Read them; "none" has no rules.
 *   -EINVAL  as above, or more than VETO_RULES_MAX */
int veto_rules_parse(const char *text, struct veto_rule rule[VETO_RULES_MAX], uint32_t *rules, char *why);

/* Read a rule from JSON: {"policy": "name", "key": value or [values], ...}; members whose keys begin with "calibrated_" are
 * left alone.  file names it in messages.
 *   -EINVAL  as above, or no JSON: `why` gives line and column */
int veto_rule_parse_json(const char *json, size_t bytes, const char *file, struct veto_rule *out, char *why);

/* Write the rule in the form that veto_rule_parse() reads, every parameter named; returns the length as snprintf does. */
int veto_rule_print(const struct veto_rule *rule, char *text, size_t bytes);

/* What a rule asks.  The subset of the rows has two tokens, which say yes and no. */
struct veto_question {
	const char *text; /* stands behind what the candidate has written */
	const char *verdict; /* if the model thinks first: stands behind its thoughts */
	uint32_t think_tokens; /* so many at most; 0: it answers at once */
};
/* Whether the rule asks the model. */
bool veto_rule_asks(const struct veto_rule *rule);
/* The question of an ASK.  -EINVAL: the rule asks nothing */
int veto_rule_question(const struct veto_rule *rule, uint32_t question, struct veto_question *out);
/* Texts that the rule waits for, joined by |, in lower case; NULL: none. */
const char *veto_rule_marks(const struct veto_rule *rule);

/* --- Sessions --------------------------------------------------------------------------------------------------------
 * A session decides on the candidates of one prompt.  Events fold into state; verdicts are made at the end of a round
 * only, so the order of events inside a round does not matter.  It reads no clock, does no I/O and allocates only in
 * veto_session_new(); the same events give the same verdicts for ever.
 *
 * Streams are not paused for a verdict.  However the events of different candidates interleave, a rejection is one that
 * would be made if every live candidate got one token a round, with the same token, score and threshold, and such a one
 * is missing only if the candidate finished before.  With several rules, a candidate that has run ahead may fall to
 * another of them first; it falls in both.
 *
 * Beams: with a rule that forks, a candidate is a slot.  A beam waits where the rule looks at it and at the end of its
 * step, and its CLOSE or LOST comes in the round of its last token; so the order of events changes nothing at all.  A FORK
 * makes a slot that is out wait for its OPEN as a copy of a beam that goes on as well.
 *
 * Memory: at most 1 KiB a candidate, 16 bytes a window entry, and VETO_SESSION_FIXED_BYTES.  Window entries a candidate:
 * the window of window-floor and of floor without rungs, the rungs of gate, one for partial-reward, and max_tokens for
 * speculative and self-truncation, whose rungs are not known before. */
#define VETO_CANDIDATES_MAX 4096
#define VETO_TOKENS_MAX (1u << 20)
#define VETO_SESSION_FIXED_BYTES 8192

enum veto_event_kind {
	VETO_OPEN, /* the candidate starts */
	VETO_TOKEN, /* its next token, with its score */
	VETO_CLOSE, /* it finished, with its answer */
	VETO_LOST, /* its source can't go on with it */
	VETO_REPLY, /* what the model says to an ASK, with the score of the token that would answer it */
};

struct veto_event {
	enum veto_event_kind kind;
	uint32_t candidate;
	bool ends_step; /* TOKEN: the last of a step, as the last of every candidate is */
	uint32_t token; /* TOKEN: its id; VETO_NO_TOKEN: not known */
	uint32_t marks; /* TOKEN: bit i: one of the texts that the session's i-th rule waits for ends here */
	uint32_t rule; /* REPLY: whose question it was */
	uint64_t answer; /* CLOSE: equal answers, equal keys; 0: none */
	struct veto_score score; /* TOKEN and REPLY; has = 0: the token counts, without a score */
};

enum veto_verdict_kind {
	VETO_REJECT, /* stop the candidate: it is not worth finishing */
	VETO_SETTLED, /* stop the candidate: the prompt has its answer */
	VETO_FORK, /* open the candidate, which was out, as a copy of `from`, and go on with both */
	VETO_ASK, /* put a question to the model behind the candidate's first `tokens` tokens, on a copy: a REPLY follows */
	VETO_COMPLETE, /* the candidate is done: close it with the answer that it has */
};

struct veto_verdict {
	enum veto_verdict_kind kind;
	bool is_shadow; /* what a rule with shadow=1 would have done: obey nothing */
	uint32_t candidate;
	uint32_t tokens; /* the verdict is based on the candidate's first so many tokens */
	uint32_t rule; /* index in the rules given to veto_session_new() */
	uint32_t field; /* REJECT: enum veto_field; VETO_FIELDS: points that the rule gives */
	uint32_t from; /* FORK */
	uint32_t question; /* ASK: see veto_rule_question() */
	int64_t score, threshold; /* REJECT: Q20, as the rule reads the field: negated where its sign is -1 */
};

enum veto_state { VETO_WAITING, VETO_LIVE, VETO_OUT, VETO_FINISHED, VETO_GONE };

struct veto_candidate_info {
	enum veto_state state;
	bool votes; /* it finished, and no rule took its vote */
	uint32_t tokens;
	uint32_t unusable; /* tokens whose row had NaN or saturated entries, or no score at all */
	uint64_t answer;
};

struct veto_choice {
	uint32_t candidate; /* the best or the lowest-indexed one with the answer */
	uint64_t answer; /* never 0 */
	int64_t weight; /* what the rule ranks by, of this answer; the unit is the rule's */
};

struct veto_session;

/* candidates in cohorts of `cohort` (0: all in one), each of max_tokens at most.  The rules are copied; their order does
 * not matter.
 *   -EINVAL  a number out of range, more than 4 GiB of state, or a rule that does not fit the candidates; see `why`
 *   -ENOMEM */
int veto_session_new(const struct veto_rule *rule, uint32_t rules, uint32_t candidates, uint32_t cohort,
	uint32_t max_tokens, struct veto_session **out, char *why);
void veto_session_free(struct veto_session *s);

/* Bytes that the session holds, and the window entries among them (16 bytes each). */
size_t veto_session_bytes(const struct veto_session *s, size_t *window_entries);

/* Whether a source may open the candidate now: it is waiting, the prompt is not settled, and no warm-up holds it. */
bool veto_session_may_start(const struct veto_session *s, uint32_t candidate);

/* Whether a live candidate may be given its next token now; false: it is a beam that waits for the others. */
bool veto_session_may_go_on(const struct veto_session *s, uint32_t candidate);

/* Fold an event into the state.  Tokens that arrive after a verdict are counted as spent; a CLOSE after it means that
 * the candidate finished before the verdict reached it: its answer votes.
 *   -EINVAL  no such candidate, an event that its state does not allow, a token beyond max_tokens or of a beam that
 *            waits, or a score beyond +-2^40 in Q20 */
int veto_session_push(struct veto_session *s, const struct veto_event *event);

/* End the round: decide, in candidate order. */
void veto_session_round(struct veto_session *s);

/* The next verdict of the rounds so far; false: no more, the rest continue. */
bool veto_session_next(struct veto_session *s, struct veto_verdict *out);

/* -EINVAL: no such candidate */
int veto_session_candidate(const struct veto_session *s, uint32_t candidate, struct veto_candidate_info *out);

/* True once every candidate is out, finished or lost, or can't start any more. */
bool veto_session_is_done(const struct veto_session *s);

/* The threshold that a rule's warm-up froze (Q20, as the rule reads the field).
 *   -EINVAL  no such rule, or it has no warm-up
 *   -EAGAIN  the warm-up is not over
 *   -ENODATA fewer than half of its candidates finished, or none with a score: the rule rejects nothing */
int veto_session_threshold(const struct veto_session *s, uint32_t rule, int64_t *out);

/* Choose among the answers of the finished candidates by a rule whose role is VETO_SELECTS.
 *   -EINVAL   no such rule, or not of that role
 *   -ENODATA  no candidate with an answer that the rule can weigh */
int veto_session_select(struct veto_session *s, uint32_t rule, struct veto_choice *out);

/* --- Verifier --------------------------------------------------------------------------------------------------------
 * A device and sessions behind one set of calls: rows in, verdicts out.  A verifier and its streams serve one thread. */
struct veto_verifier;
struct veto_stream;

/* Errors as veto_device_open(). */
int veto_verifier_open(const char *uri, struct veto_verifier **out, char *why);
/* Its streams are closed before. */
void veto_verifier_close(struct veto_verifier *v);
const struct veto_device_info *veto_verifier_info(const struct veto_verifier *v);
/* As veto_device_trouble(). */
const char *veto_verifier_trouble(const struct veto_verifier *v);

/* How a token's score is learned. */
struct veto_payload {
	const void *row; /* [vocab] logits, untouched until the round is over; NULL: the event's own score counts */
	const float *state; /* the hidden state that the row comes from, with a head or a table; NULL: none */
};

/* An event as the session took it, for who keeps a record. */
struct veto_seen {
	const struct veto_event *event; /* with its score */
	const struct veto_payload *payload; /* NULL: none */
	const struct veto_record
		*record; /* of the payload's row, and its top_k likeliest tokens; NULL: none, or not scored */
	const uint32_t *top_id;
};

/* One prompt. */
struct veto_stream_info {
	const struct veto_rule *rule;
	uint32_t rules, candidates, cohort, max_tokens; /* as veto_session_new() */
	enum veto_format format; /* of the rows */
	uint32_t vocab; /* logits a row */
	uint32_t top_k; /* k of the confidence */
	const uint32_t *subset; /* [subset_tokens], copied */
	uint32_t subset_tokens;
	/* Heads for the hidden states that come with the rows, and stay open as long as the verifier; NULL: none.  head
	 * gives rewards of steps, and of their beginnings where a rule looks; table: self-certainty in place of that of
	 * the logits. */
	const struct veto_head *head, *table;
	bool is_asked; /* the source answers ASKs; the subset's tokens are yes and no */
	const char *backbone, *tap; /* of the source's states: fingerprint, and which of them; NULL: not known */
	/* Called in veto_stream_round() for each event, in their order, before the verdicts are made; NULL: not wanted. */
	void (*seen)(void *arg, const struct veto_seen *seen);
	void *seen_arg;
};

/* Errors as veto_session_new(); -EINVAL also for a format, vocabulary, top_k or subset that no row of this device can have,
 * and for a rule that reads a score that the rows don't have: without top_k, a subset or a head; for a head of another
 * backbone or tap than the source's, or with statistics of a score that the rows don't have.  -EOPNOTSUPP, -ENOSPC: the device does not take the head. */
int veto_stream_open(struct veto_verifier *v, const struct veto_stream_info *info, struct veto_stream **out, char *why);
void veto_stream_close(struct veto_stream *s);

/* Take an event into the round that is being filled; payload may be NULL.  Scoring starts at once.
 *   -EINVAL  there is a row, and the event's token lies beyond the vocabulary
 *   -ENOMEM, and errors of veto_device_submit() */
int veto_stream_push(struct veto_stream *s, const struct veto_event *event, const struct veto_payload *payload);

/* Wait until every row of the round is scored, give the events to the session in their order, and end its round.  A row
 * that the device failed to score counts as a token without a score.
 *   -EAGAIN  timeout_ns is over (0 polls, negative waits without limit) and rows are not scored: call again
 *   -EINVAL  the session refused an event; the others were taken, and the round has ended */
int veto_stream_round(struct veto_stream *s, int64_t timeout_ns);

/* As veto_session_next().  A FORK is read before the next event is pushed. */
bool veto_stream_next(struct veto_stream *s, struct veto_verdict *out);

/* The score of a candidate's last token of the last round; NULL before its first. */
const struct veto_score *veto_stream_score(const struct veto_stream *s, uint32_t candidate);

struct veto_stream_counts {
	uint64_t rows, failed_rows; /* given to the device; of these, those it failed */
	uint64_t device_ns;
	uint64_t states; /* hidden states given to the device, and those it failed or that had no result */
	uint64_t failed_states;
	/* Self-certainty by the table less that by the logits, Q20 nats: of so many tokens the sum of its sizes, and the
	 * largest. */
	uint64_t compared, difference_sum, difference_most;
};
struct veto_stream_counts veto_stream_counts(const struct veto_stream *s);

/* The session behind it, for veto_session_may_start(), _candidate(), _threshold(), _select() and _is_done(). */
struct veto_session *veto_stream_session(struct veto_stream *s);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
