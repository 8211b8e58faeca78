/* SPDX-License-Identifier: Apache-2.0 */
/* What the log-probabilities of a row's likeliest tokens alone say about its scores: intervals that the true values lie
 * in (hls/arithmetic.md, "When only the likeliest tokens are known"). */
#ifndef VETO_INTERVAL_H
#define VETO_INTERVAL_H

#include "veto.h"

#define INTERVAL_CONFIDENCE_TOKENS 5 /* fewer say nothing about a top-k confidence: at 1 its meaning is reversed */

#define INTERVAL_ERROR 1e-3 /* of a log-probability, where nothing better is known */

/* What is known of a row. */
struct interval_row {
	const float *logp; /* [listed] of the likeliest tokens, descending, in nats, at temperature 1 */
	uint32_t listed;
	double sampled; /* the sampled token's; NAN: not known */
	uint32_t vocab; /* tokens of the row; 0: not known, and so neither self-certainty nor entropy */
	double error; /* of each log-probability, either way */
};

/* llama-server sums its probabilities in fp32, as many as the vocabulary has tokens. */
double interval_server_error(uint32_t vocab);

/* The scores: self-certainty has no upper end, and its lower end is a score of its own; entropy has both; top-k confidence of
 * the listed, top-1 and sampled token's log-probability and margin are as they are listed. */
void interval_score(const struct interval_row *row, struct veto_score *out);

/* The probability of a token whose log-probability is listed (logp), or is not (NAN). */
struct interval_p {
	double low, high;
} interval_probability(const struct interval_row *row, double logp);

#endif
