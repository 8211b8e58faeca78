/* SPDX-License-Identifier: Apache-2.0 */
/* Packs the rows of jobs into launches, and takes them apart. */
#include "xrt_flight.h"
#include "xrt_layout.h"

#include <errno.h>
#include <string.h>

static size_t row_bytes(const struct veto_rows *rows) { return rows->cols * veto_format_bytes(rows->format); }

static uint32_t padded(size_t bytes)
{
	return (uint32_t)((bytes + sizeof(struct veto_beat) - 1) & ~(sizeof(struct veto_beat) - 1));
}

static void plan_logits(struct flight *f, const struct entry *e, struct link_slot *slot)
{
	slot->job[f->jobs].logits = (struct veto_logits_job){
		.offset_bytes = f->bytes,
		.vocab = e->job->rows.cols,
		.format = e->job->rows.format,
		.k = e->job->top_entries,
		.tag = f->jobs,
	};
}

/* Whether the state may share the pass over the weights that the launch's last job makes. */
static bool joins(const struct flight *f, const struct entry *e, const struct link_slot *slot)
{
	return f->jobs > 0 && f->item[f->rows - 1].entry == e && e->job->head->info.kind == VETO_HEAD_DENSE &&
	       slot->job[f->jobs - 1].hidden.states < VETO_STATES_MAX;
}

static void plan_state(struct flight *f, const struct entry *e, struct link_slot *slot)
{
	const struct veto_rows *rows = &e->job->rows;
	const struct veto_head *head = e->job->head;

	slot->job[f->jobs].hidden = (struct veto_hidden_job){
		.state_offset = f->bytes,
		.cols = rows->cols,
		.format = rows->format,
		.op = xrt_layout_op(head),
		.tag = f->jobs,
		.states = 1,
	};
	if (head->info.kind == VETO_HEAD_SCH) {
		slot->job[f->jobs].hidden.token = head_has_token(rows, e->sent) ? rows->token[e->sent] : 0;
		slot->job[f->jobs].hidden.offset_q20 = (int32_t)head_offset_q20(head, rows, e->sent);
	}
}

/* Give the next row of a job a place, on a beat of its own. */
static void plan_row(struct flight *f, struct entry *e, struct link_slot *slot)
{
	if (f->kernel == LINK_HIDDEN && joins(f, e, slot)) {
		slot->job[f->jobs - 1].hidden.states++;
	} else {
		if (f->kernel == LINK_HIDDEN)
			plan_state(f, e, slot);
		else
			plan_logits(f, e, slot);
		f->jobs++;
	}
	f->job[f->rows] = f->jobs - 1;
	f->item[f->rows++] = (struct item){e, e->sent++, f->bytes};
	f->bytes += padded(row_bytes(&e->job->rows));
}

/* A launch has one head. */
static bool belongs(const struct flight *f, const struct entry *e)
{
	if ((e->job->rows.kind == VETO_HIDDEN) != (f->kernel == LINK_HIDDEN))
		return false;
	return f->kernel == LINK_LOGITS || f->rows == 0 || e->job->rows.head == f->head;
}

void flight_plan(struct flight *f, enum link_kernel kernel, struct entries *entries, struct link_slot *slot)
{
	f->kernel = kernel;
	f->rows = f->jobs = f->bytes = f->head = 0;
	for (uint32_t i = 0; i < entries->count; i++) {
		struct entry *e = entries_at(entries, i);
		const uint32_t bytes = padded(row_bytes(&e->job->rows));

		if (!belongs(f, e))
			continue;
		while (e->sent < e->job->rows.rows) {
			if (f->rows == LINK_LAUNCH_ROWS || f->bytes + bytes > LINK_ROWS_BYTES)
				return;
			f->head = e->job->rows.head;
			plan_row(f, e, slot);
		}
	}
}

void flight_copy(const struct flight *f, struct link_slot *slot)
{
	for (uint32_t i = 0; i < f->rows; i++) {
		const struct veto_rows *rows = &f->item[i].entry->job->rows;

		memcpy((char *)slot->rows + f->item[i].at,
			(const char *)rows->data + f->item[i].row * rows->stride_bytes, row_bytes(rows));
	}
}

static uint32_t tag_of(const struct flight *f, const struct link_slot *slot, uint32_t i)
{
	return f->kernel == LINK_HIDDEN ? slot->result[i].hidden.tag : slot->result[i].logits.record.tag;
}

int flight_check(const struct flight *f, const struct link_slot *slot)
{
	const struct veto_trailer *t = &slot->trailer;
	static const uint32_t arithmetics[] = {[LINK_LOGITS] = VETO_FX1_VERSION, [LINK_HIDDEN] = VETO_HX1_VERSION};

	if (t->magic != VETO_KERNEL_MAGIC || t->contract != VETO_KERNEL_CONTRACT ||
		t->arithmetic != arithmetics[f->kernel] || t->error != VETO_KERNEL_OK || t->rows_done != f->jobs)
		return -EIO;
	for (uint32_t i = 0; i < f->rows; i++)
		if (tag_of(f, slot, i) != f->job[i])
			return -EIO;
	return 0;
}

static void take_logits(const struct veto_logits_result *from, uint32_t top_entries, struct row_result *out)
{
	out->record = from->record;
	out->record.tag = 0;
	for (uint32_t j = 0; j < top_entries; j++)
		out->top[j] = (struct fx1_top){from->top[j].key, from->top[j].id};
}

static void take_state(const struct veto_hidden_result *from, struct row_result *out)
{
	out->head = (struct head_result){.is_bad = from->status != VETO_HIDDEN_OK,
		.sc_q20 = from->sc_q20,
		.e = from->e,
		.squares = from->squares};
	memcpy(out->head.z, from->z, sizeof(out->head.z));
}

void flight_take(struct flight *f, const struct link_slot *slot, uint64_t device_ns)
{
	for (uint32_t i = 0; i < f->rows; i++) {
		struct entry *e = f->item[i].entry;
		struct row_result *out = &e->job->result[f->item[i].row];

		if (f->kernel == LINK_HIDDEN)
			take_state(&slot->result[i].hidden, out);
		else
			take_logits(&slot->result[i].logits, e->job->top_entries, out);
		e->landed++;
		e->device_ns += device_ns / f->rows;
	}
}
