/* SPDX-License-Identifier: Apache-2.0 */
/* Heads: what scores a hidden state.  A dense one gives a reward, a table the exact self-certainty. */
#ifndef VETO_HEAD_H
#define VETO_HEAD_H

#include "hx1.h"
#include "map.h"
#include "safetensors.h"
#include "statistics.h"

/* How the outputs of a dense head become a reward. */
enum head_output { HEAD_RAW, HEAD_SOFTMAX, HEAD_SIGMOID, HEAD_DISTANCE, HEAD_OUTPUTS };
extern const char *const head_outputs[HEAD_OUTPUTS];

/* How the rewards of steps become one; MAX_POOL: by the largest of each output. */
enum head_aggregation {
	HEAD_LAST,
	HEAD_MEAN,
	HEAD_PRODUCT,
	HEAD_MIN,
	HEAD_GEOMETRIC_MEAN,
	HEAD_MAX_POOL,
	HEAD_AGGREGATIONS
};
extern const char *const head_aggregations[HEAD_AGGREGATIONS];

struct veto_head {
	struct veto_head_info info;
	/* VETO_HEAD_DENSE */
	enum head_output output;
	enum head_aggregation aggregation;
	uint32_t classes, class[2]; /* HEAD_SOFTMAX: the reward is the sum of these outputs' probabilities */
	struct hx1_layer layer[VETO_HEAD_LAYERS_MAX]; /* info.layers */
	/* Of token scores, which the output counts on too: info.statistics of them, and their weights, one row. */
	struct statistic statistic[STATISTICS_MAX];
	const int16_t *weighing;
	struct veto_weight_scale weighing_scale;
	/* VETO_HEAD_SCH: a row a token */
	const int16_t *hi; /* [vocab][cols] */
	const uint8_t *lo; /* [vocab][cols], or NULL */
	const int16_t *f; /* [vocab] */
	const int32_t *c; /* [vocab] Q20 nats */

	struct safetensors file;
	struct veto_weight_scale *scale; /* of all layers */
	struct map map;
};

/* Texts of a head file's metadata. */
#define HEAD_FILE_VERSION "1"
#define HEAD_ARITHMETIC "HX1 1"
#define HEAD_ARITHMETIC_STATISTICS "HX1 1, TS1 1" /* of a head that counts on statistics */

/* Read a head file that lies in memory, which stays there while the head is used; name is for messages.
 * Errors as veto_head_open(). */
int head_parse(const void *file, size_t bytes, const char *name, struct veto_head *out, char *why);
void head_clear(struct veto_head *head);

/* Whether the head has learned from the question of that text's hash. */
bool head_knows_question(const struct veto_head *head, uint64_t text);

/* The SHA-256 of a head file with the digits of its own checksum, which start at `at`, read as '0'.  -ENOMEM */
int head_checksum(const void *file, size_t bytes, size_t at, char *hex);

/* What a device finds out about one state. */
struct head_result {
	bool is_bad; /* NaN or infinity in the state: nothing else counts */
	int32_t sc_q20; /* VETO_HEAD_SCH */
	int32_t e; /* HEAD_DISTANCE: the exponent of the state's integers, and the sum of their squares */
	uint64_t squares;
	int32_t z[VETO_HEAD_OUTPUTS_MAX]; /* VETO_HEAD_DENSE: of the last layer's rows; of HEAD_DISTANCE the parts */
};

/* VETO_HEAD_SCH: what a device takes off the product for row i: log-probability and logarithm of the vocabulary. */
int64_t head_offset_q20(const struct veto_head *head, const struct veto_rows *rows, uint32_t i);
/* Whether row i has what a table needs. */
bool head_has_token(const struct veto_rows *rows, uint32_t i);

/* The reference for row i of the rows; z, q: room for the widest layer's values. */
void head_score(const struct veto_head *head, const struct veto_rows *rows, uint32_t i, int32_t *q, int32_t *z,
	struct head_result *out);

/* The scores and the outputs of row i; q16[outputs] may be NULL.  Of a head with statistics the outputs are those of the
 * state, and there is no reward. */
void head_finish(const struct veto_head *head, const struct veto_rows *rows, uint32_t i,
	const struct head_result *result, struct veto_score *score, int32_t *q16);

/* Whether the head's reward needs a hidden state, and the scores that it needs, bit 1u << field. */
bool head_reads_states(const struct veto_head *head);
uint32_t head_reads_fields(const struct veto_head *head);

/* Add to q16, the outputs of a state (0 where the head reads none), what the statistics of the tokens up to it say; false: one
 * of them has no value, so that there is no reward.  Nothing to add without statistics. */
bool head_add_statistics(const struct veto_head *head, const struct statistics *all, int32_t *q16);

/* A candidate's steps so far; all zero before the first. */
struct head_steps {
	uint32_t steps;
	int64_t value, log_sum; /* as the head's aggregation needs them */
	int32_t most[VETO_HEAD_OUTPUTS_MAX];
};

/* Add a step that has a result (not bad); returns the reward of all steps, Q31. */
int64_t head_add_step(const struct veto_head *head, struct head_steps *steps, const int32_t *q16);

#endif
