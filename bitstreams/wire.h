/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between XRT's emulation shims and a device model: protobuf fields behind a frame of fixed size. */
#ifndef VETO_WIRE_H
#define VETO_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define WIRE_FIELDS_MAX 8 /* numbers of fields that are kept */

struct wire_field {
	uint64_t number; /* of a varint or fixed field */
	const unsigned char *bytes; /* of a length-delimited field, the last of that number */
	size_t length;
};

/* A call: its fields point into the payload, which lives until the next. */
struct wire_call {
	uint32_t api;
	struct wire_field field[WIRE_FIELDS_MAX + 1];
};

struct wire {
	int fd;
	unsigned char *payload;
	size_t room;
};

/* Wait for the next call.  -EPIPE: the other side has closed; -EPROTO: no message; -ENOMEM; -errno of read() */
int wire_read(struct wire *w, struct wire_call *out);

/* Make a call without fields, of the other side.  -errno of write() */
int wire_call_bare(int fd, uint32_t api);

/* A reply that is put together field by field. */
struct wire_reply {
	unsigned char head[64];
	size_t used;
	const void *tail; /* goes behind it */
	size_t tail_bytes;
};
void wire_put_number(struct wire_reply *r, uint32_t field, uint64_t number);
/* The last field: its bytes are not copied. */
void wire_put_bytes(struct wire_reply *r, uint32_t field, const void *bytes, size_t length);

/* -errno of write() */
int wire_write(struct wire *w, const struct wire_reply *reply);

#endif
