/* SPDX-License-Identifier: Apache-2.0 */
/* The facts that hosts and kernels share: limits, records, versions and tables of the arithmetics FX1 and HX1. */
#ifndef VETO_HW_H
#define VETO_HW_H

#include <stdint.h>

#define VETO_FX1_VERSION 1u

#define VETO_VOCAB_MAX 262144u /* the row sums S and T are safe in 64 bits up to here */
#define VETO_CHUNK_LOGITS 1024u /* chunks start at multiples of this */
#define VETO_TOP_MAX 32u
#define VETO_SUBSET_MAX 64u

#define VETO_LOGIT_LIMIT 1024.0f /* below minus this: masked; above: saturated */
#define VETO_LOG2E_Q16 0x1.715476p+16f /* fp32(log2 e) times 2^16 */
#define VETO_LOG2E_SIGNIFICAND 0xb8aa3bu /* of VETO_LOG2E_Q16, which is this times 2^-7 */
#define VETO_LN2_Q25 23258160 /* nats = (log2 units * this + 2^30) >> 31, Q26 to Q20 */

#define VETO_SHIFT_MAX 31 /* an element further than this below its chunk's maximum adds nothing */
#define VETO_ROW_SHIFT_MAX 39 /* a chunk further than this below its row's maximum adds nothing */
#define VETO_N_EMPTY (-(1 << 20)) /* n and N of a chunk and a row with every entry masked */

#define VETO_NO_TOKEN UINT32_MAX

/* A row's sums: one 64-byte beat, little-endian. */
struct veto_record {
	int32_t n; /* largest y, shifted right by 16; VETO_N_EMPTY if cnt is 0 */
	int32_t ymax; /* INT32_MIN if cnt is 0 */
	uint32_t cnt; /* entries that are not masked */
	uint32_t n_nan; /* NaN entries, masked */
	uint32_t n_sat; /* entries limited to 1024 */
	uint32_t tag; /* 0, but for a job's tag between host and kernel */
	int64_t sumy; /* sum of y, log2 units, Q16 */
	uint64_t s; /* S, sum of 2^(y - n), Q44 */
	uint64_t t; /* T, the same weighted by the distance to n + 1, Q44 */
	uint64_t zero[2];
};

/* A chunk's sums: one 64-byte beat, little-endian. */
struct veto_chunk {
	int32_t n, ymax;
	uint32_t cnt, n_nan, n_sat;
	uint32_t index; /* of the chunk in its row */
	int64_t sumy;
	uint64_t s; /* Q31 */
	uint64_t t; /* Q47 */
	uint64_t zero[2];
};

/* --- Hidden states: the arithmetic HX1 --- */

#define VETO_HX1_VERSION 1u

#define VETO_STATE_MAX 16384u /* values of a state, and of what lies between two layers */
#define VETO_HEAD_LAYERS_MAX 2u
#define VETO_HEAD_OUTPUTS_MAX 64u
#define VETO_DISTANCE_ROWS_MAX 32u
#define VETO_STATES_MAX 16u /* that share a pass over a head's weights */
#define VETO_WEIGHT_SH_MIN (-64)
#define VETO_WEIGHT_SH_MAX 127

enum veto_weight_format { VETO_INT8, VETO_INT16 };

/* Of a row of weights: each is w * mant * 2^-sh. */
struct veto_weight_scale {
	uint16_t mant; /* 2^15 to 2^16 - 1 */
	int16_t sh;
	int32_t bias; /* Q16 */
};

/* --- Between host and kernels: everything is a number of 64-byte beats, little-endian, on a 64-byte boundary --- */

#define VETO_KERNEL_CONTRACT 2u /* the version of what follows */
#define VETO_KERNEL_MAGIC 0x6f746576u /* "veto" */
#define VETO_LAUNCH_ROWS_MAX 4096u /* jobs a launch */

struct veto_beat {
	uint32_t w[16];
};

enum veto_kernel_format { VETO_KERNEL_FP32, VETO_KERNEL_FP16, VETO_KERNEL_BF16, VETO_KERNEL_FORMATS };

/* A row that veto_score_logits reads: ceil(vocab * bytes / 64) beats; what lies beyond vocab counts for nothing. */
struct veto_logits_job {
	uint64_t offset_bytes; /* of the row */
	uint32_t vocab; /* 1..VETO_VOCAB_MAX */
	uint32_t format; /* enum veto_kernel_format */
	uint32_t k; /* 0..VETO_TOP_MAX entries of the top list are wanted */
	uint32_t tag;
	uint32_t zero[10];
};

/* The likeliest tokens of a row, best first; unused: key 0, id VETO_NO_TOKEN. */
struct veto_top_entry {
	uint32_t key, id;
};

/* What veto_score_logits writes for a row: 5 beats. */
struct veto_logits_result {
	struct veto_record record;
	struct veto_top_entry top[VETO_TOP_MAX];
};

enum veto_hidden_op {
	VETO_HIDDEN_HEAD = 1, /* a dense head */
	VETO_HIDDEN_TABLE24, /* a row of a table: 24 bits, a plane of hi and one of lo */
	VETO_HIDDEN_TABLE16 /* the same without lo */
};

/* States that veto_score_hidden reads: each ceil(cols * bytes / 64) beats, one behind the other; what lies beyond cols
 * counts for nothing.
 *
 * Weights lie in so many ports, each with a memory of its own: row o of a layer, or of a table, in port o mod ports, at
 * weight_offset + (o / ports) * stride there.  The stride is the row's bytes in whole beats; beyond cols are zeros.  A row
 * of 24 bits is its plane of hi and then that of lo, each in whole beats.  Every port holds ceil(rows / ports) rows of a
 * layer, whose last may count for nothing, whatever it holds; layer 2 starts behind layer 1's. */
struct veto_hidden_job {
	uint64_t state_offset; /* of the first state */
	uint32_t cols; /* 1..VETO_STATE_MAX */
	uint32_t format; /* enum veto_kernel_format */
	uint32_t op; /* enum veto_hidden_op */
	uint32_t token; /* of a table: the row */
	uint32_t tag;
	uint32_t states; /* 1..VETO_STATES_MAX, which share one pass over the weights; of a table 1 */
	uint64_t meta_offset; /* of a struct veto_hidden_meta; of a table: of its struct veto_table_meta[tokens] */
	uint64_t weight_offset;
	int32_t offset_q20; /* of a table: log-probability and logarithm of the vocabulary, taken off the result */
	uint32_t zero[3];
};

/* A head: one beat, then the scales of layer 1's rows, 8 a beat, and those of layer 2 from the next beat on. */
struct veto_hidden_meta {
	uint32_t layers; /* 1 or 2 */
	uint32_t rows[VETO_HEAD_LAYERS_MAX]; /* of each; the last has at most VETO_HEAD_OUTPUTS_MAX */
	uint32_t weights[VETO_HEAD_LAYERS_MAX]; /* enum veto_weight_format */
	uint32_t is_distance; /* 1: z is the parts of a distance (HX1, step 4) of one layer of int16, at most
			       * VETO_DISTANCE_ROWS_MAX rows */
	uint32_t zero[10];
};

/* Of a token's row of a table. */
struct veto_table_meta {
	int16_t f;
	uint16_t zero;
	int32_t c; /* Q20 nats */
};

enum veto_hidden_status { VETO_HIDDEN_OK, VETO_HIDDEN_BAD_STATE };

/* What veto_score_hidden writes for a state: 5 beats.  What is not said of its kind is 0; of a bad state all but status and
 * tag. */
struct veto_hidden_result {
	uint32_t status; /* enum veto_hidden_status */
	uint32_t tag; /* the job's */
	int32_t sc_q20; /* of a table */
	int32_t e; /* of a distance: the exponent of the state's integers, and the sum of their squares */
	uint64_t squares;
	uint32_t zero[10];
	int32_t z[VETO_HEAD_OUTPUTS_MAX]; /* of a head: of the last layer's rows, Q16 */
};

enum veto_kernel_error {
	VETO_KERNEL_OK,
	VETO_KERNEL_BAD_COUNT, /* more than VETO_LAUNCH_ROWS_MAX */
	VETO_KERNEL_BAD_JOB, /* the one behind rows_done */
	VETO_KERNEL_BAD_BUS /* the memory answered with an error */
};

/* The beat behind the results of all jobs, done or not.  Of hidden states that is behind those of all jobs' states, where
 * a job of more than VETO_STATES_MAX counts for that many; with BAD_COUNT it is the first beat. */
struct veto_trailer {
	uint32_t magic, contract, arithmetic;
	uint32_t rows_done; /* jobs before the first bad one */
	uint32_t error; /* enum veto_kernel_error */
	uint32_t zero[11];
};

/* m(f) = 65536 + A[g] + ((B[g] * 2 r + 0x4000) >> 15), with g = f >> 10 and r = f & 1023: 2^(f / 65536) in Q16. */
#define VETO_FX1_A                                                                                                     \
	{                                                                                                              \
		0, 713, 1435, 2164, 2901, 3646, 4400, 5161, 5931, 6709, 7496, 8291, 9095, 9908, 10729, 11560, 12399,   \
			13248, 14106, 14973, 15850, 16736, 17632, 18538, 19453, 20379, 21314, 22260, 23216, 24182,     \
			25159, 26147, 27145, 28154, 29175, 30206, 31249, 32303, 33368, 34445, 35534, 36634, 37747,     \
			38872, 40008, 41158, 42320, 43494, 44681, 45881, 47095, 48321, 49561, 50814, 52081, 53362,     \
			54657, 55966, 57289, 58626, 59978, 61345, 62727, 64123                                         \
	}
#define VETO_FX1_B                                                                                                     \
	{                                                                                                              \
		11407, 11543, 11656, 11790, 11924, 12056, 12176, 12318, 12451, 12588, 12721, 12863, 13003, 13139,      \
			13292, 13427, 13582, 13724, 13873, 14027, 14175, 14332, 14488, 14638, 14808, 14957, 15132,     \
			15292, 15459, 15640, 15803, 15970, 16150, 16330, 16492, 16681, 16851, 17035, 17229, 17416,     \
			17600, 17802, 17987, 18177, 18391, 18580, 18779, 18993, 19204, 19415, 19615, 19837, 20050,     \
			20272, 20493, 20714, 20934, 21156, 21389, 21632, 21865, 22101, 22334, 22591                    \
	}

#endif
