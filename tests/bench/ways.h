/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to go through rows of logits: each cpu: variant, the device with its threads, reading alone, plain C, and other libraries in a process of their
 * own. */
#ifndef VETO_WAYS_H
#define VETO_WAYS_H

#include "cpu.h"

#include <stdio.h>
#include <sys/types.h>

#ifndef PEERS
#define PEERS "tests/bench/peers.py"
#endif
#define TOP_K 20
#define THREADS 2
#define CONTENDERS_MAX 40

/* The rows of one size: as many in each format. */
struct rows {
	char *data[VETO_FORMATS];
	uint32_t cols, rows;
};

/* One way to go through rows.  A slow one takes only every share-th part of them a time, and another part the next. */
struct contender {
	const char *name;
	void (*work)(const struct contender *c, const char *data, uint32_t cols, uint32_t rows); /* NULL: a peer */
	const struct cpu_isa *isa;
	struct veto_device *device; /* which has the threads itself */
	void (*softmax)(const float *l, uint32_t cols, float out[4]);
	enum veto_format format;
	uint32_t threads, share;
};

/* A process with a copy of the first fp32 rows. */
struct peers {
	pid_t pid;
	FILE *in, *out;
	bool has_numpy, has_torch;
};

/* Say what failed, and why, and exit. */
void die(const char *what);

/* Normal logits, as of a language model, the same ones in each format; cols and rows are left alone. */
void alloc_rows(struct rows *r, size_t logits);
void free_rows(struct rows *r);

/* All ways, devices open until the process ends, in this process into list[CONTENDERS_MAX]; returns how many.  A way with one thread is followed by the same
 * one with two. */
uint32_t list_contenders(struct contender *list);

/* Seconds a row. */
double time_rows(const struct contender *c, const struct rows *r, uint32_t repeat);

/* Start the peers that the Python interpreter can import. */
void start_peers(struct peers *p, const char *python, const char *data);
void stop_peers(struct peers *p);

/* Seconds a row, and the log-sum-exp of the first row. */
double ask_peer(struct peers *p, const char *name, uint32_t cols, double *lse);

#endif
