/* SPDX-License-Identifier: Apache-2.0 */
/* Heads on the processor: states through their layers, by the products of an instruction set. */
#include "cpu_hidden.h"

#include <string.h>

static size_t padded(size_t values) { return (values + CPU_STATE_ALIGN - 1) / CPU_STATE_ALIGN * CPU_STATE_ALIGN; }

/* The longest of a state's lists. */
static size_t longest(const struct veto_head *head)
{
	const size_t cols = head->info.cols, rows = head->layer[0].rows;

	return padded(cols > rows ? cols : rows);
}

/* The states on their way through a dense head. */
struct work {
	int16_t *q; /* [states][longest] */
	int64_t *acc; /* [states][rows] */
	int32_t *z, *wide; /* [longest] of one state */
};

/* A table needs one state in 32 bits. */
size_t cpu_hidden_bytes(const struct veto_head *head)
{
	return longest(head) * (VETO_STATES_MAX * (sizeof(int16_t) + sizeof(int64_t)) + 2 * sizeof(int32_t));
}

static void set_out(const struct veto_head *head, const struct work *w, uint32_t s, struct head_result *out)
{
	const struct hx1_layer *last = &head->layer[head->info.layers - 1];
	const int64_t *acc = w->acc + (size_t)s * last->rows;

	for (uint32_t o = 0; o < last->rows; o++)
		out->z[o] = head->output == HEAD_DISTANCE ? hx1_part(last, o, acc[o])
							  : hx1_dense_end(last, o, acc[o], out->e);
}

/* What lies between two layers, of one state. */
static void go_between(const struct veto_head *head, const struct work *w, uint32_t s, int32_t *e)
{
	const struct hx1_layer *layer = &head->layer[0];
	const int64_t *acc = w->acc + (size_t)s * layer->rows;
	int16_t *q = w->q + s * longest(head);

	for (uint32_t o = 0; o < layer->rows; o++)
		w->z[o] = hx1_dense_end(layer, o, acc[o], *e);
	hx1_between(w->z, layer->rows, w->wide, e);
	for (uint32_t o = 0; o < layer->rows; o++)
		q[o] = (int16_t)w->wide[o];
}

static uint64_t sum_squares(const int16_t *q, uint32_t cols)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < cols; i++)
		sum += (uint64_t)(q[i] * q[i]);
	return sum;
}

static void score_dense(const struct cpu_products *products, const struct job *job, const char *state, uint32_t count,
	struct row_result *result, void *scratch)
{
	const struct veto_head *head = job->head;
	const size_t stride = longest(head);
	const struct work w = {
		.acc = scratch,
		.z = (int32_t *)((int64_t *)scratch + VETO_STATES_MAX * stride),
		.wide = (int32_t *)((int64_t *)scratch + VETO_STATES_MAX * stride) + stride,
		.q = (int16_t *)((int32_t *)((int64_t *)scratch + VETO_STATES_MAX * stride) + 2 * stride),
	};

	for (uint32_t s = 0; s < count; s++) {
		struct head_result *r = &result[s].head;
		int16_t *q = w.q + s * stride;

		r->is_bad = !products->quantise16(
			state + s * job->rows.stride_bytes, job->rows.format, job->rows.cols, q, &r->e);
		if (r->is_bad)
			memset(q, 0, stride * sizeof(*q));
		if (head->output == HEAD_DISTANCE && !r->is_bad)
			r->squares = sum_squares(q, job->rows.cols);
	}
	products->dense(&head->layer[0], w.q, stride, count, w.acc);
	if (head->info.layers == 2) {
		for (uint32_t s = 0; s < count; s++)
			go_between(head, &w, s, &result[s].head.e);
		products->dense(&head->layer[1], w.q, stride, count, w.acc);
	}
	for (uint32_t s = 0; s < count; s++)
		set_out(head, &w, s, &result[s].head);
}

static void score_table(
	const struct cpu_products *products, const struct job *job, uint32_t i, int32_t *q, struct head_result *out)
{
	const struct veto_head *head = job->head;
	const struct veto_rows *rows = &job->rows;
	const size_t token = rows->token[i], at = token * rows->cols;

	out->is_bad = !products->quantise24(
		(const char *)rows->data + i * rows->stride_bytes, rows->format, rows->cols, q, &out->e);
	if (out->is_bad || !head_has_token(rows, i))
		return;
	out->sc_q20 = hx1_table_end(products->table(q, rows->cols, head->hi + at, head->lo ? head->lo + at : NULL),
		out->e, head->f[token], head->c[token], head_offset_q20(head, rows, i));
}

void cpu_hidden_score(
	const struct cpu_products *products, struct job *job, uint32_t first, uint32_t count, void *scratch)
{
	for (uint32_t s = 0; s < count; s++)
		memset(&job->result[first + s].head, 0, sizeof(job->result->head));
	if (job->head->info.kind == VETO_HEAD_DENSE)
		score_dense(products, job, (const char *)job->rows.data + first * job->rows.stride_bytes, count,
			&job->result[first], scratch);
	else
		for (uint32_t s = 0; s < count; s++)
			score_table(products, job, first + s, scratch, &job->result[first + s].head);
}
