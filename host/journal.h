/* SPDX-License-Identifier: Apache-2.0 */
/* Journals: what was generated, scored and decided, so that it can be judged again (veto.1, JOURNALS).
 *
 * A journal is JOURNAL_MAGIC and frames: u32 bytes, u32 kind, u32 CRC-32C of the payload, u32 CRC-32C of those twelve bytes
 * behind the sum of the frame before (0 before the first), and the payload; all little-endian.  So no frame can be changed, left out or moved
 * unnoticed; one that ends with the file is the torn tail of a recording that was cut short.  The frames are a HEADER, for
 * each prompt a PROMPT, its ROUNDs and a CHOICE, and an END. */
#ifndef VETO_JOURNAL_H
#define VETO_JOURNAL_H

#include "map.h"
#include "veto.h"

#define JOURNAL_MAGIC "VETOJNL1"
#define JOURNAL_TOP_MAX VETO_TOP_MAX

enum journal_kind { JOURNAL_HEADER, JOURNAL_PROMPT, JOURNAL_ROUND, JOURNAL_CHOICE, JOURNAL_END, JOURNAL_KINDS };

/* A text that need not end with a NUL; NULL: there is none. */
struct journal_text {
	const char *text;
	size_t bytes;
};

/* The whole of a text that ends with a NUL; NULL: there is none. */
struct journal_text journal_text_of(const char *text);

/* What is known to be right. */
enum journal_label { JOURNAL_UNKNOWN, JOURNAL_WRONG, JOURNAL_RIGHT, JOURNAL_LABELS };

/* An event as the session took it, and what is known besides. */
struct journal_event {
	struct veto_event event;
	const void *state; /* TOKEN: fp16 [state_values], of any alignment, which produced the token; NULL: none */
	uint32_t state_values;
	float top[JOURNAL_TOP_MAX]; /* TOKEN: the log-probabilities of the likeliest, descending, in nats */
	uint32_t tops;
	enum journal_label so_far; /* TOKEN that ends a step */
	struct journal_text answer; /* CLOSE */
	bool is_cut_off; /* CLOSE: it did not come to its own end */
};

struct journal_prompt {
	struct journal_text id, text, answer; /* answer: the right one, in the form that candidates' answers have */
};

/* What came of a prompt. */
struct journal_choice {
	bool has_choice;
	uint32_t candidate;
	uint32_t texts; /* 0, or as many as candidates */
	struct journal_text *text; /* [texts] */
	unsigned char *label; /* [texts] enum journal_label: of the candidates' answers */
};

/* --- Writing --- */

struct journal;

/* Start a journal with its header, a JSON object.  -EINVAL: the file can't be written, see `why`; -ENOMEM */
int journal_create(const char *path, const char *header, struct journal **out, char *why);
/* Each of these keeps the first error for journal_close().  Events and verdicts are those of the next round. */
void journal_write_prompt(struct journal *j, const struct journal_prompt *prompt);
void journal_write_event(struct journal *j, const struct journal_event *event);
void journal_write_verdict(struct journal *j, const struct veto_verdict *verdict);
void journal_end_round(struct journal *j);
void journal_write_choice(struct journal *j, const struct journal_choice *choice);
/* is_whole: everything that was to be recorded is there.  -EIO, having said in `why` what could not be written; NULL is
 * ignored. */
int journal_close(struct journal *j, bool is_whole, char *why);

/* --- Reading --- */

struct journal_reader {
	struct map map; /* data NULL: the bytes are the caller's */
	const unsigned char *data;
	size_t bytes, at;
	const char *name;
	uint32_t sum; /* of the last frame */
	enum journal_kind last;
	size_t torn; /* bytes at the end that are no whole frame */
	bool is_whole; /* an END was read */
};

struct journal_frame {
	enum journal_kind kind;
	const unsigned char *data;
	size_t bytes, offset; /* offset: in the file */
};

/* Whether the file starts as a journal does. */
bool journal_is(const char *path);
/* Open a journal; the first frame that is read is its header.
 *   -EINVAL  no journal; -errno of opening the file */
int journal_open(const char *path, struct journal_reader *out, char *why);
/* The same of bytes that stay where they are. */
int journal_parse(const void *data, size_t bytes, const char *name, struct journal_reader *out, char *why);
void journal_shut(struct journal_reader *r);

/* The next frame.
 *   -ENODATA  there are no more: see torn and is_whole
 *   -EINVAL   it is damaged, or can't stand here; `why` gives its offset */
int journal_next(struct journal_reader *r, struct journal_frame *out, char *why);

/* What a payload holds, piece by piece; is_bad: it is none that a journal has. */
struct journal_cursor {
	const unsigned char *at, *end;
	uint32_t left; /* of the events or verdicts */
	bool is_bad;
};

struct journal_cursor journal_round(const struct journal_frame *frame);
/* The round's next event; false: no more, or is_bad.  Behind the last come its verdicts. */
bool journal_next_event(struct journal_cursor *c, struct journal_event *out);
bool journal_next_verdict(struct journal_cursor *c, struct veto_verdict *out);
/* -EINVAL: no such payload.  Texts are in the frame. */
int journal_read_prompt(const struct journal_frame *frame, struct journal_prompt *out);
/* out->text[capacity] and out->label[capacity] take those of the candidates. */
int journal_read_choice(const struct journal_frame *frame, uint32_t capacity, struct journal_choice *out);
/* "'NAME': the KIND at byte OFFSET is damaged"; returns -EINVAL. */
int journal_fail(const struct journal_reader *r, const struct journal_frame *frame, char *why);

#endif
