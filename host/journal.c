/* SPDX-License-Identifier: Apache-2.0 */
/* Reads journals. */
#include "journal.h"
#include "crc32c.h"
#include "param.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAGIC_BYTES (sizeof(JOURNAL_MAGIC) - 1)
#define HEAD_BYTES 16

static const char *const kind_names[JOURNAL_KINDS] = {"header", "prompt", "round", "choice", "end"};

bool journal_is(const char *path)
{
	char magic[MAGIC_BYTES];
	FILE *file = fopen(path, "re");
	bool is = file && fread(magic, sizeof(magic), 1, file) == 1 && memcmp(magic, JOURNAL_MAGIC, sizeof(magic)) == 0;

	if (file)
		fclose(file);
	return is;
}

int journal_parse(const void *data, size_t bytes, const char *name, struct journal_reader *out, char *why)
{
	if (bytes < MAGIC_BYTES || memcmp(data, JOURNAL_MAGIC, MAGIC_BYTES) != 0)
		return param_fail(-EINVAL, why, "'%s' is no journal of version 1", name);
	*out = (struct journal_reader){
		.data = data, .bytes = bytes, .at = MAGIC_BYTES, .name = name, .last = JOURNAL_KINDS};
	return 0;
}

int journal_open(const char *path, struct journal_reader *out, char *why)
{
	struct map map;
	int err = map_open(path, &map, why);

	if (err)
		return err;
	err = journal_parse(map.data, map.bytes, path, out, why);
	if (err)
		map_close(&map);
	else
		out->map = map;
	return err;
}

void journal_shut(struct journal_reader *r)
{
	if (r->map.data)
		map_close(&r->map);
	r->map.data = NULL;
}

int journal_fail(const struct journal_reader *r, const struct journal_frame *frame, char *why)
{
	return param_fail(-EINVAL, why, "'%s': the %s at byte %zu is damaged", r->name,
		frame->kind < JOURNAL_KINDS ? kind_names[frame->kind] : "record", frame->offset);
}

/* The order of frames; last JOURNAL_KINDS: before the first. */
static bool may_follow(enum journal_kind last, enum journal_kind kind)
{
	switch (kind) {
	case JOURNAL_HEADER:
		return last == JOURNAL_KINDS;
	case JOURNAL_ROUND:
	case JOURNAL_CHOICE:
		return last == JOURNAL_PROMPT || last == JOURNAL_ROUND;
	default:
		return last == JOURNAL_HEADER || last == JOURNAL_CHOICE;
	}
}

/* No more frames, but for what is torn. */
static int end_reading(struct journal_reader *r, char *why)
{
	r->torn = r->bytes - r->at;
	if (r->last == JOURNAL_KINDS)
		return param_fail(-EINVAL, why, "'%s': the journal ends before its header does", r->name);
	return -ENODATA;
}

int journal_next(struct journal_reader *r, struct journal_frame *out, char *why)
{
	struct journal_frame frame = {.kind = JOURNAL_KINDS, .offset = r->at};
	uint32_t head[4];
	bool is_whole;

	if (r->bytes - r->at < HEAD_BYTES && (r->at == r->bytes || !r->is_whole))
		return end_reading(r, why);
	if (r->is_whole)
		return param_fail(-EINVAL, why, "'%s': something stands behind its end, at byte %zu", r->name, r->at);
	memcpy(head, r->data + r->at, sizeof(head));
	if (crc32c(r->sum, head, 12) != head[3] || head[1] >= JOURNAL_KINDS)
		return journal_fail(r, &frame, why);
	frame.kind = (enum journal_kind)head[1];
	frame.bytes = head[0];
	frame.data = r->data + r->at + HEAD_BYTES;
	is_whole = frame.bytes <= r->bytes - r->at - HEAD_BYTES;
	if (!is_whole)
		return end_reading(r, why);
	if (crc32c(0, frame.data, frame.bytes) != head[2])
		return journal_fail(r, &frame, why);
	if (!may_follow(r->last, frame.kind))
		return param_fail(-EINVAL, why, "'%s': the %s at byte %zu can't stand there", r->name,
			kind_names[frame.kind], frame.offset);
	r->at += HEAD_BYTES + frame.bytes;
	r->sum = head[3];
	r->last = frame.kind;
	r->is_whole = frame.kind == JOURNAL_END;
	*out = frame;
	return 0;
}

/* --- Pieces of a payload --- */

/* So many bytes; NULL: there are not as many. */
static const void *take(struct journal_cursor *c, size_t bytes)
{
	const void *at = c->at;

	if (c->is_bad || (size_t)(c->end - c->at) < bytes) {
		c->is_bad = true;
		return NULL;
	}
	c->at += bytes;
	return at;
}

static uint64_t take_count(struct journal_cursor *c, uint64_t most)
{
	uint64_t value = 0;

	for (int shift = 0; shift < 64; shift += 7) {
		const unsigned char *at = take(c, 1);

		if (!at)
			return 0;
		value |= (uint64_t)(*at & 127) << shift;
		if (shift == 63 && *at > 1)
			break;
		if (*at < 128 && value <= most)
			return value;
		if (*at < 128)
			break;
	}
	c->is_bad = true;
	return 0;
}

static uint32_t take_u32(struct journal_cursor *c, uint32_t most) { return (uint32_t)take_count(c, most); }

static int64_t take_signed(struct journal_cursor *c)
{
	const uint64_t value = take_count(c, UINT64_MAX);

	return (int64_t)(value & 1 ? ~(value >> 1) : value >> 1);
}

static struct journal_text take_text(struct journal_cursor *c)
{
	const uint64_t length = take_count(c, SIZE_MAX);
	struct journal_text text = {0};

	if (length > 0) {
		text.text = take(c, (size_t)length - 1);
		text.bytes = text.text ? (size_t)length - 1 : 0;
	}
	return text;
}

struct journal_cursor journal_round(const struct journal_frame *frame)
{
	struct journal_cursor c = {frame->data, frame->data + frame->bytes, 0, false};

	c.left = take_u32(&c, UINT32_MAX);
	return c;
}

static void take_score(struct journal_cursor *c, struct veto_score *out)
{
	uint32_t wide;

	out->has = take_u32(c, (1u << VETO_FIELDS) - 1);
	out->flags = take_u32(c, UINT32_MAX);
	wide = take_u32(c, out->has);
	c->is_bad |= (wide & ~out->has) != 0;
	for (int f = 0; f < VETO_FIELDS; f++) {
		struct veto_interval *v = &out->field[f];
		uint64_t width;

		if (!(out->has >> f & 1))
			continue;
		v->low = v->high = take_signed(c);
		if (!(wide >> f & 1))
			continue;
		width = take_count(c, (uint64_t)INT64_MAX - (uint64_t)v->low);
		v->high = width == 0 ? INT64_MAX : (int64_t)((uint64_t)v->low + width);
	}
}

static void take_token(struct journal_cursor *c, struct journal_event *out)
{
	const uint64_t token = take_count(c, UINT32_MAX);
	const void *top;

	out->event.token = token == 0 ? VETO_NO_TOKEN : (uint32_t)token - 1;
	out->event.marks = take_u32(c, UINT32_MAX);
	out->so_far = (enum journal_label)take_u32(c, JOURNAL_LABELS - 1);
	take_score(c, &out->event.score);
	out->state_values = take_u32(c, VETO_STATE_MAX);
	out->state = out->state_values ? take(c, out->state_values * sizeof(uint16_t)) : NULL;
	out->tops = take_u32(c, JOURNAL_TOP_MAX);
	top = take(c, out->tops * sizeof(*out->top));
	if (top)
		memcpy(out->top, top, out->tops * sizeof(*out->top));
}

/* Past the last event or verdict: the count of what comes next, or the payload's end. */
static bool is_over(struct journal_cursor *c)
{
	if (c->left > 0 && !c->is_bad) {
		c->left--;
		return false;
	}
	return true;
}

bool journal_next_event(struct journal_cursor *c, struct journal_event *out)
{
	const unsigned char *kind;
	const void *answer;

	if (is_over(c)) {
		c->left = c->is_bad ? 0 : take_u32(c, UINT32_MAX);
		return false;
	}
	memset(out, 0, sizeof(*out));
	kind = take(c, 1);
	out->event.candidate = take_u32(c, VETO_CANDIDATES_MAX - 1);
	if (!kind || (*kind & 127) > VETO_REPLY) {
		c->is_bad = true;
		return false;
	}
	out->event.kind = (enum veto_event_kind)(*kind & 127);
	out->event.ends_step = out->event.kind == VETO_TOKEN && *kind >> 7;
	out->is_cut_off = out->event.kind == VETO_CLOSE && *kind >> 7;
	out->event.token = VETO_NO_TOKEN;
	if (out->event.kind == VETO_TOKEN)
		take_token(c, out);
	if (out->event.kind == VETO_REPLY) {
		out->event.rule = take_u32(c, VETO_RULES_MAX - 1);
		take_score(c, &out->event.score);
	}
	if (out->event.kind == VETO_CLOSE) {
		answer = take(c, sizeof(out->event.answer));
		if (answer)
			memcpy(&out->event.answer, answer, sizeof(out->event.answer));
		out->answer = take_text(c);
	}
	return !c->is_bad;
}

bool journal_next_verdict(struct journal_cursor *c, struct veto_verdict *out)
{
	const unsigned char *kind;

	if (is_over(c)) {
		c->is_bad |= c->at != c->end;
		return false;
	}
	kind = take(c, 1);
	if (!kind || (*kind & 127) > VETO_COMPLETE) {
		c->is_bad = true;
		return false;
	}
	memset(out, 0, sizeof(*out));
	out->kind = (enum veto_verdict_kind)(*kind & 127);
	out->is_shadow = *kind >> 7;
	out->candidate = take_u32(c, VETO_CANDIDATES_MAX - 1);
	out->tokens = take_u32(c, VETO_TOKENS_MAX);
	out->rule = take_u32(c, VETO_RULES_MAX - 1);
	out->field = take_u32(c, VETO_FIELDS);
	out->from = take_u32(c, VETO_CANDIDATES_MAX - 1);
	out->question = take_u32(c, UINT32_MAX);
	out->score = take_signed(c);
	out->threshold = take_signed(c);
	return !c->is_bad;
}

int journal_read_prompt(const struct journal_frame *frame, struct journal_prompt *out)
{
	struct journal_cursor c = {frame->data, frame->data + frame->bytes, 0, false};
	struct journal_prompt prompt;

	prompt.id = take_text(&c);
	prompt.text = take_text(&c);
	prompt.answer = take_text(&c);
	if (c.is_bad || c.at != c.end || !prompt.id.text)
		return -EINVAL;
	*out = prompt;
	return 0;
}

int journal_read_choice(const struct journal_frame *frame, uint32_t capacity, struct journal_choice *out)
{
	struct journal_cursor c = {frame->data, frame->data + frame->bytes, 0, false};
	const uint32_t candidate = take_u32(&c, VETO_CANDIDATES_MAX);

	out->has_choice = candidate > 0;
	out->candidate = candidate > 0 ? candidate - 1 : 0;
	out->texts = take_u32(&c, VETO_CANDIDATES_MAX);
	if (out->texts > capacity)
		return -EINVAL;
	for (uint32_t i = 0; i < out->texts; i++) {
		out->text[i] = take_text(&c);
		out->label[i] = (unsigned char)take_u32(&c, JOURNAL_LABELS - 1);
	}
	return c.is_bad || c.at != c.end ? -EINVAL : 0;
}
