/* SPDX-License-Identifier: Apache-2.0 */
/* Journals: what is written is read, whatever is damaged is said, and verdicts are those of the scores. */
#include "check.h"
#include "crc32c.h"
#include "fx1.h"
#include "replay.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CANDIDATES 4
#define TOKENS 9

static const char header[] =
	"{\"journal\":1,\"candidates\":4,\"cohort\":4,\"max_tokens\":9,\"policy\":\"gate:rungs=3,"
	"keep=0.5 + floor:score=token_logp,window=2,threshold=-3,shadow=1\",\"select\":\"majority\"}";

static char path[] = "/tmp/veto-journal-XXXXXX";

static int make_path(void **state)
{
	const int file = mkstemp(path);

	(void)state;
	return file < 0 ? -1 : close(file);
}

static int remove_path(void **state)
{
	(void)state;
	return unlink(path);
}

static struct journal_event token_of(uint32_t candidate, uint32_t at, uint32_t prompt)
{
	const int64_t value = (int64_t)(candidate * 7 + at * 5 + prompt * 3) % 11 * 400000;
	struct journal_event e = {.event = {.kind = VETO_TOKEN,
					  .candidate = candidate,
					  .ends_step = at % 4 == 3,
					  .token = at == 2 ? VETO_NO_TOKEN : 1000 * at}};
	struct veto_score *score = &e.event.score;

	score->has = 1u << VETO_SELF_CERTAINTY | 1u << VETO_TOKEN_LOGP | 1u << VETO_ENTROPY;
	score->flags = at == 5 ? VETO_NAN : 0;
	score->field[VETO_SELF_CERTAINTY] = (struct veto_interval){value, at == 6 ? INT64_MAX : value};
	score->field[VETO_TOKEN_LOGP] = (struct veto_interval){-value, -value};
	score->field[VETO_ENTROPY] = (struct veto_interval){value - 5, value + (at == 1 ? 12345 : -5)};
	return e;
}

/* As a source and its session would write one. */
static void write_round(struct journal *j, struct veto_session *s, const struct journal_event *event, uint32_t events)
{
	struct veto_verdict v;

	for (uint32_t i = 0; i < events; i++) {
		assert_int_equal(veto_session_push(s, &event[i].event), 0);
		journal_write_event(j, &event[i]);
	}
	veto_session_round(s);
	while (veto_session_next(s, &v))
		journal_write_verdict(j, &v);
	journal_end_round(j);
}

static void write_tokens(struct journal *j, struct veto_session *s, uint32_t at, uint32_t prompt)
{
	static const uint16_t values[3] = {1, 0x3c00, 0xfbff};
	struct journal_event event[2 * CANDIDATES];
	uint32_t events = 0;

	for (uint32_t i = 0; i < CANDIDATES; i++) {
		struct veto_candidate_info info;

		veto_session_candidate(s, i, &info);
		if (info.state != VETO_LIVE)
			continue;
		event[events] = token_of(i, at, prompt);
		if (event[events].event.ends_step) {
			event[events].state = values;
			event[events].state_values = 3;
			event[events].top[0] = -0.25f;
			event[events].tops = 1;
		}
		events++;
		if (at + 1 == TOKENS)
			event[events++] = (struct journal_event){
				.event = {.kind = VETO_CLOSE, .candidate = i, .answer = 77}, .answer = {"forty", 5}};
	}
	write_round(j, s, event, events);
}

static void write_prompt(struct journal *j, uint32_t prompt)
{
	static unsigned char labels[CANDIDATES] = {JOURNAL_RIGHT, JOURNAL_WRONG, JOURNAL_UNKNOWN, JOURNAL_RIGHT};
	static struct journal_text texts[CANDIDATES] = {{"one", 3}, {"", 0}, {"three", 5}, {"four", 4}};
	struct veto_rule rule[3];
	struct veto_session *s;
	struct veto_choice choice;
	struct journal_event open[CANDIDATES] = {0};

	assert_int_equal(veto_rule_parse("gate:rungs=3,keep=0.5", &rule[0], NULL), 0);
	assert_int_equal(veto_rule_parse("floor:score=token_logp,window=2,threshold=-3,shadow=1", &rule[1], NULL), 0);
	assert_int_equal(veto_rule_parse("majority", &rule[2], NULL), 0);
	assert_int_equal(veto_session_new(rule, 3, CANDIDATES, CANDIDATES, TOKENS, &s, NULL), 0);
	journal_write_prompt(j, &(struct journal_prompt){{prompt ? "b" : "a", 1}, {"What?", 5}, {NULL, 0}});
	for (uint32_t i = 0; i < CANDIDATES; i++)
		open[i].event.candidate = i;
	write_round(j, s, open, CANDIDATES);
	for (uint32_t at = 0; at < TOKENS; at++)
		write_tokens(j, s, at, prompt);
	assert_int_equal(veto_session_select(s, 2, &choice), 0);
	journal_write_choice(j, &(struct journal_choice){true, choice.candidate, CANDIDATES, texts, labels});
	veto_session_free(s);
}

/* The bytes of a journal of two prompts, to be freed. */
static unsigned char *make_journal(size_t *bytes)
{
	struct journal *j;
	struct map map;
	unsigned char *copy;

	assert_int_equal(journal_create(path, header, &j, NULL), 0);
	write_prompt(j, 0);
	write_prompt(j, 1);
	assert_int_equal(journal_close(j, true, NULL), 0);
	assert_int_equal(map_open(path, &map, NULL), 0);
	copy = malloc(map.bytes);
	assert_non_null(copy);
	memcpy(copy, map.data, map.bytes);
	*bytes = map.bytes;
	map_close(&map);
	return copy;
}

static void count_difference(void *arg, const char *text)
{
	assert_non_null(text);
	++*(int *)arg;
}

/* Judge bytes again; the errors of both steps. */
static int judge(const void *data, size_t bytes, struct replay *out, int *differences, char *why)
{
	struct journal_reader reader;
	int err;

	*differences = 0;
	err = journal_parse(data, bytes, "j", &reader, why);
	return err ? err : replay_journal(&reader, count_difference, differences, out, why);
}

static void a_journal_is_judged_as_it_was_written(void **state)
{
	size_t bytes;
	unsigned char *data = make_journal(&bytes);
	struct replay r = {0};
	int differences = 0;

	(void)state;
	assert_int_equal(judge(data, bytes, &r, &differences, NULL), 0);
	assert_int_equal(differences, 0);
	assert_int_equal(r.prompts, 2);
	assert_int_equal(r.rounds, 2 * (TOKENS + 1));
	assert_int_equal(r.tokens, 2 * (2 * 3 + 2 * TOKENS)); /* two of four fall at the third token */
	assert_true(r.verdicts > 4); /* and some in shadow */
	assert_int_equal(r.choices, 2);
	assert_int_equal(r.different, 0);
	assert_true(r.is_whole);
	assert_int_equal(r.torn + r.unfinished, 0);
	free(data);
}

static void a_byte_that_is_changed_is_an_error_with_its_place(void **state)
{
	size_t bytes;
	unsigned char *data = make_journal(&bytes);

	(void)state;
	for (size_t i = 0; i < bytes; i++)
		for (int bit = 0; bit < 8; bit++) {
			char why[VETO_WHY_MAX] = "";
			struct replay r;
			int differences;

			data[i] ^= (unsigned char)(1 << bit);
			if (judge(data, bytes, &r, &differences, why) != -EINVAL)
				fail_msg("byte %zu, bit %d: not noticed", i, bit);
			if (i >= 8 && !strstr(why, "at byte "))
				fail_msg("byte %zu, bit %d: '%s' names no place", i, bit, why);
			data[i] ^= (unsigned char)(1 << bit);
		}
	free(data);
}

static void a_journal_that_is_torn_anywhere_gives_what_stands_before(void **state)
{
	size_t bytes, header_end = 8 + 16 + strlen(header);
	unsigned char *data = make_journal(&bytes);
	uint64_t rounds = 0;

	(void)state;
	for (size_t length = 0; length < bytes; length++) {
		unsigned char *cut = malloc(length + 1); /* of that size, so that reading beyond is seen */
		struct replay r = {0};
		int differences, err;

		assert_non_null(cut);
		memcpy(cut, data, length);
		err = judge(cut, length, &r, &differences, NULL);
		assert_int_equal(err, length < header_end ? -EINVAL : 0);
		assert_int_equal(differences, 0);
		assert_false(r.is_whole);
		assert_true(r.rounds == rounds || r.rounds == rounds + 1);
		rounds = r.rounds;
		free(cut);
	}
	assert_int_equal(rounds, 2 * (TOKENS + 1));
	free(data);
}

/* Frame by frame into out[]: where each starts, and behind them the end. */
static size_t find_frames(const unsigned char *data, size_t bytes, size_t *out)
{
	struct journal_reader reader;
	struct journal_frame frame;
	size_t frames = 0;

	assert_int_equal(journal_parse(data, bytes, "j", &reader, NULL), 0);
	while (journal_next(&reader, &frame, NULL) == 0)
		out[frames++] = frame.offset;
	out[frames] = bytes;
	return frames;
}

static void a_record_that_is_left_out_is_noticed(void **state)
{
	size_t bytes, at[64];
	unsigned char *data = make_journal(&bytes), *less = malloc(bytes);
	const size_t frames = find_frames(data, bytes, at);

	(void)state;
	assert_non_null(less);
	for (size_t i = 0; i + 1 < frames; i++) {
		struct replay r;
		int differences;

		memcpy(less, data, at[i]);
		memcpy(less + at[i], data + at[i + 1], bytes - at[i + 1]);
		assert_int_equal(judge(less, bytes - (at[i + 1] - at[i]), &r, &differences, NULL), -EINVAL);
	}
	free(less);
	free(data);
}

static void something_behind_the_end_is_an_error(void **state)
{
	size_t bytes;
	unsigned char *data = make_journal(&bytes), *more = calloc(1, bytes + 40);

	(void)state;
	assert_non_null(more);
	memcpy(more, data, bytes);
	for (size_t extra = 1; extra <= 40; extra++) {
		struct replay r;
		int differences;

		assert_int_equal(judge(more, bytes + extra, &r, &differences, NULL), -EINVAL);
	}
	free(more);
	free(data);
}

/* Change a byte of a payload and make the sums right again. */
static void forge(unsigned char *data, const size_t *at, size_t frames, size_t frame, size_t byte, unsigned char value)
{
	uint32_t sum = 0, head[4];

	data[at[frame] + 16 + byte] = value;
	for (size_t i = 0; i < frames; i++) {
		memcpy(head, data + at[i], sizeof(head));
		head[2] = crc32c(0, data + at[i] + 16, head[0]);
		head[3] = sum = crc32c(sum, head, 12);
		memcpy(data + at[i], head, sizeof(head));
	}
}

/* Whoever forges the sums meets the session. */
static void verdicts_that_do_not_follow_from_the_scores_differ(void **state)
{
	size_t bytes, at[64];
	unsigned char *data = make_journal(&bytes);
	const size_t frames = find_frames(data, bytes, at), choice = frames - 2;
	int different = 0, refused = 0;

	(void)state;
	for (size_t frame = 2; frame < frames; frame++)
		for (size_t i = 0; i < at[frame + 1] - at[frame] - 16; i++) {
			const unsigned char was = data[at[frame] + 16 + i];
			struct replay r;
			int differences, err;

			forge(data, at, frames, frame, i, (unsigned char)(was ^ 1));
			err = judge(data, bytes, &r, &differences, NULL);
			different += err == 0 && differences > 0;
			refused += err != 0;
			if (frame == choice && i == 0 && (err || differences == 0))
				fail_msg("another choice is not noticed");
			forge(data, at, frames, frame, i, was);
		}
	assert_true(different > 20);
	assert_true(refused > 100);
	free(data);
}

static void check_score(const struct veto_score *is, const struct veto_score *expected)
{
	assert_int_equal(is->has, expected->has);
	assert_int_equal(is->flags, expected->flags);
	for (int f = 0; f < VETO_FIELDS; f++)
		if (expected->has >> f & 1) {
			assert_int_equal(is->field[f].low, expected->field[f].low);
			assert_int_equal(is->field[f].high, expected->field[f].high);
		}
}

static void every_piece_is_read_as_it_was_written(void **state)
{
	size_t bytes, tokens = 0;
	unsigned char *data = make_journal(&bytes);
	struct journal_reader reader;
	struct journal_frame frame;
	uint32_t prompt = 0, at[CANDIDATES] = {0};

	(void)state;
	assert_int_equal(journal_parse(data, bytes, "j", &reader, NULL), 0);
	while (journal_next(&reader, &frame, NULL) == 0) {
		struct journal_cursor c = journal_round(&frame);
		struct journal_event e;

		if (frame.kind == JOURNAL_CHOICE) {
			prompt++;
			memset(at, 0, sizeof(at));
		}
		while (frame.kind == JOURNAL_ROUND && journal_next_event(&c, &e)) {
			struct journal_event expected;

			if (e.event.kind == VETO_CLOSE) {
				assert_int_equal(e.event.answer, 77);
				assert_int_equal(e.answer.bytes, 5);
				assert_memory_equal(e.answer.text, "forty", 5);
			}
			if (e.event.kind != VETO_TOKEN)
				continue;
			expected = token_of(e.event.candidate, at[e.event.candidate]++, prompt);
			check_score(&e.event.score, &expected.event.score);
			assert_int_equal(e.event.ends_step, expected.event.ends_step);
			assert_int_equal(e.event.token, expected.event.token);
			assert_int_equal(e.state_values, e.event.ends_step ? 3 : 0);
			assert_int_equal(e.tops, e.event.ends_step);
			if (e.event.ends_step)
				assert_memory_equal(e.state, ((uint16_t[]){1, 0x3c00, 0xfbff}), 6);
			tokens++;
		}
		assert_false(frame.kind == JOURNAL_ROUND && c.is_bad);
	}
	assert_int_equal(tokens, 2 * (2 * 3 + 2 * TOKENS));
	free(data);
}

static void sums_are_those_of_castagnoli(void **state)
{
	(void)state;
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
	assert_int_equal(crc32c(0, (char[32]){0}, 32), 0x8a9136aa); /* RFC 3720, B.4 */
}

static float widen(uint16_t half) { return fx1_widen(&half, VETO_FP16, 0); }

static void fp16_is_the_nearest_and_even_of_two(void **state)
{
	(void)state;
	for (uint32_t h = 0; h < 0x7c00; h++) {
		const float here = widen((uint16_t)h), next = h == 0x7bff ? 65536 : widen((uint16_t)(h + 1));
		const float middle = here + (next - here) / 2;

		assert_int_equal(fx1_narrow_fp16(here), h);
		assert_int_equal(fx1_narrow_fp16(-here), h | 0x8000);
		assert_int_equal(fx1_narrow_fp16(nextafterf(middle, 0)), h);
		assert_int_equal(fx1_narrow_fp16(nextafterf(middle, 1e9f)), h + 1);
		assert_int_equal(fx1_narrow_fp16(middle), h + (h & 1));
	}
	assert_int_equal(fx1_narrow_fp16(INFINITY), 0x7c00);
	assert_int_equal(fx1_narrow_fp16(-1e30f), 0xfc00);
	assert_int_equal(fx1_narrow_fp16(1e-30f), 0);
	assert_true(fx1_narrow_fp16(NAN) & 0x3ff);
}

static void a_journal_that_can_not_be_written_says_so(void **state)
{
	struct journal *j;
	char why[VETO_WHY_MAX] = "";

	(void)state;
	assert_int_equal(journal_create("/nonexistent/j", header, &j, why), -EINVAL);
	assert_non_null(strstr(why, "/nonexistent/j"));
	if (access("/dev/full", W_OK))
		skip();
	assert_int_equal(journal_create("/dev/full", header, &j, why), -EINVAL);
	assert_non_null(strstr(why, "/dev/full"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_journal_is_judged_as_it_was_written),
		cmocka_unit_test(a_byte_that_is_changed_is_an_error_with_its_place),
		cmocka_unit_test(a_journal_that_is_torn_anywhere_gives_what_stands_before),
		cmocka_unit_test(a_record_that_is_left_out_is_noticed),
		cmocka_unit_test(something_behind_the_end_is_an_error),
		cmocka_unit_test(verdicts_that_do_not_follow_from_the_scores_differ),
		cmocka_unit_test(every_piece_is_read_as_it_was_written),
		cmocka_unit_test(sums_are_those_of_castagnoli),
		cmocka_unit_test(fp16_is_the_nearest_and_even_of_two),
		cmocka_unit_test(a_journal_that_can_not_be_written_says_so),
	};

	return cmocka_run_group_tests(tests, make_path, remove_path);
}
