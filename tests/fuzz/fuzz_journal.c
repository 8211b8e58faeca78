/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever the frames of a journal hold, judging them again stays inside them.  The sums are made right first: no mutation
 * would guess them. */
#include "crc32c.h"
#include "replay.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t last_sum; /* so that nothing is left out */

static void see(void *arg, const char *text) { *(uint64_t *)arg += strlen(text); }

/* Small ones, so that no session is large. */
static const char *const headers[] = {
	"{\"journal\":1,\"candidates\":4,\"cohort\":2,\"max_tokens\":9,\"policy\":\"gate:rungs=3\",\"select\":\"borda\"}",
	"{\"journal\":1,\"candidates\":3,\"cohort\":3,\"max_tokens\":40,\"policy\":\"window-floor:warmup=2,window=3 + "
	"consensus + speculative:budget=20\",\"select\":\"weighted\"}",
	"{\"journal\":1,\"candidates\":4,\"cohort\":4,\"max_tokens\":30,\"policy\":\"partial-reward:tau=4,expand=2\",\"select\":"
	"\"best:score=reward\"}",
	"{\"journal\":1,\"candidates\":2,\"cohort\":2,\"max_tokens\":5,\"policy\":\"none\"}",
};

static size_t add_frame(uint8_t *out, uint32_t *sum, uint32_t kind, const void *payload, uint32_t bytes)
{
	uint32_t head[4] = {bytes, kind, crc32c(0, payload, bytes)};

	head[3] = *sum = crc32c(*sum, head, 12);
	memcpy(out, head, sizeof(head));
	if (bytes > 0)
		memcpy(out + sizeof(head), payload, bytes);
	return sizeof(head) + bytes;
}

/* The first byte chooses the header; then each frame is a kind, a length, and as many bytes. */
static size_t make_journal(const uint8_t *data, size_t size, uint8_t *out)
{
	const char *header = headers[data[0] % (sizeof(headers) / sizeof(*headers))];
	uint32_t sum = 0;
	size_t used = strlen(JOURNAL_MAGIC);

	memcpy(out, JOURNAL_MAGIC, used);
	used += add_frame(out + used, &sum, JOURNAL_HEADER, header, (uint32_t)strlen(header));
	for (size_t at = 1; at + 2 <= size;) {
		const uint32_t bytes = data[at + 1] < size - at - 2 ? data[at + 1] : (uint32_t)(size - at - 2);

		used += add_frame(out + used, &sum, data[at] % (JOURNAL_KINDS + 1), data + at + 2, bytes);
		at += 2 + bytes;
	}
	return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct journal_reader reader;
	struct replay replay;
	uint64_t sum = 0;
	uint8_t *made = size ? malloc(1024 + 10 * size) : NULL, *exact;
	size_t bytes;

	if (!made)
		return 0;
	bytes = make_journal(data, size, made);
	exact = realloc(made, bytes);
	if (journal_parse(exact, bytes, "journal", &reader, NULL) == 0 &&
		replay_journal(&reader, see, &sum, &replay, NULL) == 0)
		sum += replay.tokens;
	/* And as the bytes come. */
	if (journal_parse(data, size, "journal", &reader, NULL) == 0 &&
		replay_journal(&reader, see, &sum, &replay, NULL) == 0)
		sum += replay.tokens;
	last_sum = sum;
	free(exact);
	return 0;
}
