/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between XRT's emulation shims and a device model. */
#include "wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

/* Frames: field 1, fixed64, bytes of the payload; in calls field 2, fixed32, which function is called. */
#define FRAME_SIZE_TAG (1 << 3 | FIXED64)
#define FRAME_API_TAG (2 << 3 | FIXED32)
#define CALL_FRAME_BYTES 14
#define REPLY_FRAME_BYTES 9
#define PAYLOAD_MAX (1ull << 32)

static int read_all(int fd, void *data, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n = read(fd, (char *)data + done, bytes - done);

		if (n == 0)
			return -EPIPE;
		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int write_all(int fd, const void *data, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n = write(fd, (const char *)data + done, bytes - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int read_varint(const unsigned char **at, const unsigned char *end, uint64_t *out)
{
	uint64_t value = 0;

	for (int shift = 0; shift < 64 && *at < end; shift += 7) {
		value |= (uint64_t)(**at & 0x7f) << shift;
		if (*(*at)++ < 0x80) {
			*out = value;
			return 0;
		}
	}
	return -EPROTO;
}

static int read_fixed(const unsigned char **at, const unsigned char *end, size_t bytes, uint64_t *out)
{
	if ((size_t)(end - *at) < bytes)
		return -EPROTO;
	*out = 0;
	memcpy(out, *at, bytes);
	*at += bytes;
	return 0;
}

static int read_field(const unsigned char **at, const unsigned char *end, struct wire_call *call)
{
	struct wire_field field = {0};
	uint64_t tag;
	int err = read_varint(at, end, &tag);

	if (err)
		return err;
	if ((tag & 7) == VARINT || (tag & 7) == LENGTH)
		err = read_varint(at, end, &field.number);
	else if ((tag & 7) == FIXED64 || (tag & 7) == FIXED32)
		err = read_fixed(at, end, (tag & 7) == FIXED64 ? 8 : 4, &field.number);
	else
		err = -EPROTO;
	if (!err && (tag & 7) == LENGTH) {
		if (field.number > (uint64_t)(end - *at))
			return -EPROTO;
		field.bytes = *at;
		field.length = (size_t)field.number;
		*at += field.length;
	}
	if (!err && tag >> 3 <= WIRE_FIELDS_MAX)
		call->field[tag >> 3] = field;
	return err;
}

static int make_room(struct wire *w, uint64_t bytes)
{
	unsigned char *payload;

	if (bytes > PAYLOAD_MAX)
		return -EPROTO;
	if (bytes <= w->room)
		return 0;
	payload = realloc(w->payload, (size_t)bytes);
	if (!payload)
		return -ENOMEM;
	w->payload = payload;
	w->room = (size_t)bytes;
	return 0;
}

int wire_read(struct wire *w, struct wire_call *out)
{
	unsigned char frame[CALL_FRAME_BYTES];
	const unsigned char *at;
	struct wire_call call = {0};
	uint64_t bytes;
	int err = read_all(w->fd, frame, sizeof(frame));

	if (err)
		return err;
	if (frame[0] != FRAME_SIZE_TAG || frame[9] != FRAME_API_TAG)
		return -EPROTO;
	memcpy(&bytes, frame + 1, sizeof(bytes));
	memcpy(&call.api, frame + 10, sizeof(call.api));
	err = make_room(w, bytes);
	if (!err)
		err = read_all(w->fd, w->payload, (size_t)bytes);
	at = w->payload;
	while (!err && at < w->payload + bytes)
		err = read_field(&at, w->payload + bytes, &call);
	if (!err)
		*out = call;
	return err;
}

int wire_call_bare(int fd, uint32_t api)
{
	unsigned char frame[CALL_FRAME_BYTES] = {FRAME_SIZE_TAG};

	frame[9] = FRAME_API_TAG;
	memcpy(frame + 10, &api, sizeof(api));
	return write_all(fd, frame, sizeof(frame));
}

static void put_varint(struct wire_reply *r, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		r->head[r->used++] = (unsigned char)(value | 0x80);
	r->head[r->used++] = (unsigned char)value;
}

void wire_put_number(struct wire_reply *r, uint32_t field, uint64_t number)
{
	put_varint(r, field << 3 | VARINT);
	put_varint(r, number);
}

void wire_put_bytes(struct wire_reply *r, uint32_t field, const void *bytes, size_t length)
{
	put_varint(r, field << 3 | LENGTH);
	put_varint(r, length);
	r->tail = bytes;
	r->tail_bytes = length;
}

int wire_write(struct wire *w, const struct wire_reply *reply)
{
	unsigned char frame[REPLY_FRAME_BYTES] = {FRAME_SIZE_TAG};
	uint64_t bytes = reply->used + reply->tail_bytes;
	int err;

	memcpy(frame + 1, &bytes, sizeof(bytes));
	err = write_all(w->fd, frame, sizeof(frame));
	if (!err)
		err = write_all(w->fd, reply->head, reply->used);
	return err || !reply->tail ? err : write_all(w->fd, reply->tail, reply->tail_bytes);
}
