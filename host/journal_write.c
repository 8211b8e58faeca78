/* SPDX-License-Identifier: Apache-2.0 */
/* Writes journals. */
#include "crc32c.h"
#include "journal.h"
#include "param.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct buffer {
	unsigned char *data;
	size_t bytes, room;
	uint32_t count; /* of what is in it */
};

struct journal {
	FILE *file;
	char *path;
	uint32_t sum; /* of the last frame */
	struct buffer events, verdicts, frame;
	int err; /* the first, negative */
};

struct journal_text journal_text_of(const char *text)
{
	return text ? (struct journal_text){text, strlen(text)} : (struct journal_text){0};
}

/* --- Bytes --- */

static void put(struct journal *j, struct buffer *b, const void *data, size_t bytes)
{
	if (b->room - b->bytes < bytes) {
		const size_t room = 2 * (b->room + bytes) + 256;
		unsigned char *grown = realloc(b->data, room);

		if (!grown) {
			j->err = j->err ? j->err : -ENOMEM;
			return;
		}
		b->data = grown;
		b->room = room;
	}
	if (bytes > 0)
		memcpy(b->data + b->bytes, data, bytes);
	b->bytes += bytes;
}

/* Seven bits a byte, the lowest first; all but the last have the eighth set. */
static void put_count(struct journal *j, struct buffer *b, uint64_t value)
{
	unsigned char bytes[10];
	size_t used = 0;

	for (; value > 127; value >>= 7)
		bytes[used++] = (unsigned char)(value | 128);
	bytes[used++] = (unsigned char)value;
	put(j, b, bytes, used);
}

/* The sign in the lowest bit. */
static void put_signed(struct journal *j, struct buffer *b, int64_t value)
{
	put_count(j, b, value < 0 ? ~((uint64_t)value << 1) : (uint64_t)value << 1);
}

/* 0: none; else its length plus 1. */
static void put_text(struct journal *j, struct buffer *b, const struct journal_text *text)
{
	put_count(j, b, text->text ? text->bytes + 1 : 0);
	if (text->text)
		put(j, b, text->text, text->bytes);
}

/* --- Frames --- */

static void write_all(struct journal *j, const void *data, size_t bytes)
{
	if (!j->err && bytes > 0 && fwrite(data, bytes, 1, j->file) != 1)
		j->err = -errno;
}

static void write_frame(struct journal *j, enum journal_kind kind, const void *data, size_t bytes)
{
	uint32_t head[4] = {(uint32_t)bytes, kind};

	if (bytes > UINT32_MAX && !j->err)
		j->err = -EFBIG;
	head[2] = crc32c(0, data, bytes);
	head[3] = crc32c(j->sum, head, 12);
	write_all(j, head, sizeof(head));
	write_all(j, data, bytes);
	if (!j->err && fflush(j->file))
		j->err = -errno;
	j->sum = head[3];
	j->frame.bytes = 0;
}

int journal_create(const char *path, const char *header, struct journal **out, char *why)
{
	struct journal *j = calloc(1, sizeof(*j));
	int err = 0;

	if (!j || !(j->path = strdup(path))) {
		free(j);
		return param_fail(-ENOMEM, why, "out of memory");
	}
	j->file = fopen(path, "we");
	if (j->file) {
		write_all(j, JOURNAL_MAGIC, strlen(JOURNAL_MAGIC));
		write_frame(j, JOURNAL_HEADER, header, strlen(header));
		err = j->err;
	} else {
		err = -errno;
	}
	if (err) {
		param_say(why, "can't write '%s': %s", path, strerror(-err));
		if (j->file)
			fclose(j->file);
		free(j->path);
		free(j);
		return -EINVAL;
	}
	*out = j;
	return 0;
}

void journal_write_prompt(struct journal *j, const struct journal_prompt *prompt)
{
	put_text(j, &j->frame, &prompt->id);
	put_text(j, &j->frame, &prompt->text);
	put_text(j, &j->frame, &prompt->answer);
	write_frame(j, JOURNAL_PROMPT, j->frame.data, j->frame.bytes);
}

static void put_score(struct journal *j, struct buffer *b, const struct veto_score *score)
{
	uint32_t wide = 0;

	for (int f = 0; f < VETO_FIELDS; f++)
		if (score->has >> f & 1 && score->field[f].high != score->field[f].low)
			wide |= 1u << f;
	put_count(j, b, score->has);
	put_count(j, b, score->flags);
	put_count(j, b, wide);
	for (int f = 0; f < VETO_FIELDS; f++) {
		const struct veto_interval *v = &score->field[f];

		if (score->has >> f & 1)
			put_signed(j, b, v->low);
		if (wide >> f & 1)
			put_count(j, b, v->high == INT64_MAX ? 0 : (uint64_t)v->high - (uint64_t)v->low);
	}
}

void journal_write_event(struct journal *j, const struct journal_event *event)
{
	const struct veto_event *e = &event->event;
	struct buffer *b = &j->events;
	const unsigned char kind = (unsigned char)(e->kind | (e->ends_step || event->is_cut_off) << 7);

	b->count++;
	put(j, b, &kind, 1);
	put_count(j, b, e->candidate);
	if (e->kind == VETO_CLOSE) {
		put(j, b, &e->answer, sizeof(e->answer));
		put_text(j, b, &event->answer);
	}
	if (e->kind == VETO_REPLY) {
		put_count(j, b, e->rule);
		put_score(j, b, &e->score);
	}
	if (e->kind != VETO_TOKEN)
		return;
	put_count(j, b, e->token == VETO_NO_TOKEN ? 0 : (uint64_t)e->token + 1);
	put_count(j, b, e->marks);
	put_count(j, b, event->so_far);
	put_score(j, b, &e->score);
	put_count(j, b, event->state ? event->state_values : 0);
	if (event->state)
		put(j, b, event->state, event->state_values * sizeof(uint16_t));
	put_count(j, b, event->tops);
	put(j, b, event->top, event->tops * sizeof(*event->top));
}

void journal_write_verdict(struct journal *j, const struct veto_verdict *v)
{
	struct buffer *b = &j->verdicts;
	const unsigned char kind = (unsigned char)(v->kind | v->is_shadow << 7);

	b->count++;
	put(j, b, &kind, 1);
	put_count(j, b, v->candidate);
	put_count(j, b, v->tokens);
	put_count(j, b, v->rule);
	put_count(j, b, v->field);
	put_count(j, b, v->from);
	put_count(j, b, v->question);
	put_signed(j, b, v->score);
	put_signed(j, b, v->threshold);
}

/* What was gathered behind its count, and gather anew. */
static void put_all(struct journal *j, struct buffer *b)
{
	put_count(j, &j->frame, b->count);
	put(j, &j->frame, b->data, b->bytes);
	b->bytes = b->count = 0;
}

void journal_end_round(struct journal *j)
{
	put_all(j, &j->events);
	put_all(j, &j->verdicts);
	write_frame(j, JOURNAL_ROUND, j->frame.data, j->frame.bytes);
}

void journal_write_choice(struct journal *j, const struct journal_choice *choice)
{
	put_count(j, &j->frame, choice->has_choice ? (uint64_t)choice->candidate + 1 : 0);
	put_count(j, &j->frame, choice->texts);
	for (uint32_t i = 0; i < choice->texts; i++) {
		put_text(j, &j->frame, &choice->text[i]);
		put_count(j, &j->frame, choice->label[i]);
	}
	write_frame(j, JOURNAL_CHOICE, j->frame.data, j->frame.bytes);
}

int journal_close(struct journal *j, bool is_whole, char *why)
{
	int err;

	if (!j)
		return 0;
	if (is_whole)
		write_frame(j, JOURNAL_END, NULL, 0);
	err = j->err;
	if (!err && fsync(fileno(j->file)) && errno != EINVAL && errno != EROFS) /* a pipe can't */
		err = -errno;
	if (fclose(j->file) && !err)
		err = -errno;
	if (err)
		err = param_fail(-EIO, why, "can't write '%s': %s; what stands in it up to there is good", j->path,
			strerror(-err));
	free(j->events.data);
	free(j->verdicts.data);
	free(j->frame.data);
	free(j->path);
	free(j);
	return err;
}
