/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of devices, third part: hidden states score as the reference says, on every head, in every format. */
#include "check.h"
#include "contract.h"
#include "heads.h"
#include "rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STATES_MAX 40

static uint64_t budget; /* products left */
static struct dice dice = {5};

/* States of one format, any number of bytes apart, and what a table needs for each. */
struct states {
	struct veto_rows rows;
	char *data;
	uint32_t token[STATES_MAX];
	int64_t logp[STATES_MAX];
};

static int64_t any_logp(void)
{
	static const int64_t special[] = {
		VETO_NO_LOGP, 0, 1, 13, 1048, 1049, -(1LL << 30), -(1LL << 30) - 1, INT64_MAX, -1};

	return dice_below(&dice, 3) ? -(int64_t)dice_below(&dice, 20u << 20)
				    : special[dice_below(&dice, sizeof(special) / sizeof(*special))];
}

static void states_make(
	struct states *s, const struct veto_head_info *info, enum veto_format format, uint32_t states, size_t gap)
{
	const size_t bytes = info->cols * veto_format_bytes(format);

	memset(s, 0, sizeof(*s));
	s->rows = (struct veto_rows){.kind = VETO_HIDDEN,
		.format = format,
		.rows = states,
		.cols = info->cols,
		.stride_bytes = bytes + gap,
		.token = s->token,
		.token_logp_q20 = s->logp};
	s->data = malloc(states * (bytes + gap) + 1);
	assert_non_null(s->data);
	s->rows.data = s->data + gap % 2; /* at any alignment */
	for (uint32_t i = 0; i < states; i++) {
		void *state = state_new((enum state_kind)dice_below(&dice, STATE_KINDS), format, info->cols, &dice);

		memcpy(s->data + gap % 2 + i * (bytes + gap), state, bytes);
		free(state);
		s->token[i] = dice_below(&dice, 8) ? dice_below(&dice, info->vocab ? info->vocab : 1) : VETO_NO_TOKEN;
		s->logp[i] = any_logp();
	}
}

static void check_score(const char *what, uint32_t i, const struct veto_score *got, const struct veto_score *want)
{
	if (got->has != want->has || got->flags != want->flags)
		fail_msg("%s, %s, state %u: has %x, flags %x; expected %x, %x", contract_uri, what, i, got->has,
			got->flags, want->has, want->flags);
	for (int f = 0; f < VETO_FIELDS; f++)
		if (want->has >> f & 1 &&
			(got->field[f].low != want->field[f].low || got->field[f].high != want->field[f].high))
			fail_msg("%s, %s, state %u: %s is %lld, expected %lld", contract_uri, what, i,
				veto_fields[f].name, (long long)got->field[f].low, (long long)want->field[f].low);
}

static void check_states(struct veto_device *dev, const struct veto_head *head, uint32_t slot, enum veto_format format,
	uint32_t states, size_t gap)
{
	const struct veto_head_info *info = veto_head_info(head);
	struct veto_score score[STATES_MAX], want;
	int32_t q16[STATES_MAX * VETO_HEAD_OUTPUTS_MAX], want_q16[VETO_HEAD_OUTPUTS_MAX];
	int32_t *room = malloc(2 * VETO_STATE_MAX * sizeof(*room));
	struct head_result result;
	struct states s;

	states_make(&s, info, format, states, gap);
	s.rows.head = slot;
	assert_int_equal(veto_device_score(dev, &s.rows, &(struct veto_results){.score = score, .head_q16 = q16}), 0);
	for (uint32_t i = 0; i < states; i++) {
		head_score(head, &s.rows, i, room, room + VETO_STATE_MAX, &result);
		head_finish(head, &s.rows, i, &result, &want, want_q16);
		check_score(info->shape, i, &score[i], &want);
		if (memcmp(q16 + (size_t)i * info->outputs, want_q16, info->outputs * sizeof(*q16)) != 0)
			fail_msg("%s, %s: the outputs of state %u differ", contract_uri, info->shape, i);
	}
	free(s.data);
	free(room);
}

/* A head that the device can't take is said to be so. */
static bool load(struct veto_device *dev, const struct veto_head *head, uint32_t *slot)
{
	char why[VETO_WHY_MAX] = "";
	const int err = veto_device_load(dev, head, slot, why);

	if (err == -EOPNOTSUPP && *why)
		return false;
	if (err)
		fail_msg("%s: %d, %s", contract_uri, err, why);
	return true;
}

/* One count of states in one format at least, in turn; the others as the budget allows. */
static void check_head(struct veto_device *dev, struct veto_head *head)
{
	static const uint32_t counts[] = {1, 2, 3, 16, 17, STATES_MAX};
	static uint32_t turn;
	const struct veto_head_info *info = veto_head_info(head);
	const uint64_t products = (uint64_t)info->cols * (info->width ? info->width : info->outputs);
	const size_t step = products > 200000 ? 4 : 1; /* of the counts: large ones say little that small ones don't */
	uint32_t slot;

	if (load(dev, head, &slot)) {
		const size_t due = step > 1 ? 4 : turn % (sizeof(counts) / sizeof(*counts));

		for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i += step)
			for (uint32_t f = 0; f < VETO_FORMATS; f++) {
				const bool is_due = i == due && f == (turn + turn / 6) % VETO_FORMATS;

				if (!is_due && budget < products * counts[i])
					continue;
				check_states(dev, head, slot, (enum veto_format)f, counts[i], i % 3 * 5);
				budget -= is_due ? 0 : products * counts[i];
			}
		turn++;
		veto_device_unload(dev, slot);
	}
	veto_head_close(head);
}

static void every_head_scores_as_the_reference_says(void **state)
{
	static const uint32_t cols[] = {1, 2, 31, 32, 33, 64, 100, 576, 1000};
	struct veto_device *dev = contract_open();

	(void)state;
	for (size_t i = 0; i < sizeof(cols) / sizeof(*cols); i++) {
		for (const struct head_shape *s = head_shapes; s->name; s++)
			for (int format = VETO_INT8; format <= VETO_INT16; format++) {
				const bool is_subspace = strcmp(s->name, "subspace") == 0;

				if (!is_subspace || (cols[i] >= 31 && format == VETO_INT16))
					check_head(dev, head_new(s, (enum veto_weight_format)format, cols[i], cols[i]));
			}
		check_head(dev, table_new(50, cols[i], true, 1));
		check_head(dev, table_new(50, cols[i], false, 2));
	}
	check_head(dev, head_new(shape_named("token-prm"), VETO_INT16, VETO_STATE_MAX, 3));
	check_head(dev, head_new(shape_named("token-prm"), VETO_INT8, VETO_STATE_MAX, 4));
	check_head(dev, table_new(3, VETO_STATE_MAX, true, 5));
	check_head(dev, table_new(400, VETO_STATE_MAX, true, 6)); /* more than a device may take at a time */
	veto_device_close(dev);
}

/* Several heads are loaded, jobs for each and for logits are in flight, and each gets its own. */
static void heads_and_logits_do_not_mix(void **state)
{
	enum { JOBS = 12, COLS = 96 };
	static const char *const shapes[] = {"token-prm", "probe", "reasoneval"};
	struct veto_device *dev = contract_open();
	struct veto_head *head[3];
	struct states s[JOBS];
	struct veto_score score[JOBS][STATES_MAX], want;
	int32_t room[2 * VETO_STATE_MAX / 8];
	float logits[2000];
	const struct veto_rows rows = {.rows = 1, .cols = 2000, .stride_bytes = sizeof(logits), .data = logits};
	struct veto_record record[JOBS];
	uint32_t slot[3];
	struct veto_done done;

	(void)state;
	row_make(ROW_MODEL, VETO_FP32, 2000, 1, logits);
	for (int h = 0; h < 3; h++) {
		head[h] = head_new(shape_named(shapes[h]), VETO_INT16, COLS, 7 + (uint64_t)h);
		assert_true(load(dev, head[h], &slot[h]));
	}
	assert_true(slot[0] != slot[1] && slot[1] != slot[2] && slot[0] != slot[2]);
	for (uint32_t j = 0, in_flight = 0; j < JOBS || in_flight > 0;) {
		if (j < JOBS && in_flight + 2 <= veto_device_info(dev)->depth) {
			states_make(
				&s[j], veto_head_info(head[j % 3]), (enum veto_format)(j / 3 % VETO_FORMATS), 1 + j, 0);
			s[j].rows.head = slot[j % 3];
			assert_int_equal(
				veto_device_submit(dev, &s[j].rows, &(struct veto_results){.score = score[j]}, j), 0);
			assert_int_equal(
				veto_device_submit(dev, &rows, &(struct veto_results){.record = &record[j]}, JOBS + j),
				0);
			in_flight += 2;
			j++;
		} else {
			assert_int_equal(veto_device_reap(dev, -1, &done), 0);
			assert_int_equal(done.status, 0);
			in_flight--;
		}
	}
	for (uint32_t j = 0; j < JOBS; j++) {
		assert_int_equal(record[j].cnt, 2000);
		for (uint32_t i = 0; i < s[j].rows.rows; i++) {
			struct head_result result;

			head_score(head[j % 3], &s[j].rows, i, room, room + VETO_STATE_MAX / 8, &result);
			head_finish(head[j % 3], &s[j].rows, i, &result, &want, NULL);
			check_score(shapes[j % 3], i, &score[j][i], &want);
		}
		free(s[j].data);
	}
	for (int h = 0; h < 3; h++)
		veto_device_unload(dev, slot[h]);
	veto_device_close(dev);
	for (int h = 0; h < 3; h++)
		veto_head_close(head[h]);
}

static void states_that_do_not_fit_are_refused(void **state)
{
	struct veto_device *dev = contract_open();
	struct veto_head *head = head_new(shape_named("token-prm"), VETO_INT16, 10, 1),
			 *table = table_new(5, 10, true, 1);
	float x[11] = {0};
	uint32_t token = 5, slot, table_slot, more[VETO_HEADS_MAX];
	const int64_t logp = 0;
	struct veto_score score;
	struct veto_results out = {.score = &score};
	struct veto_rows good = {.kind = VETO_HIDDEN, .rows = 1, .cols = 10, .stride_bytes = sizeof(x), .data = x},
			 bad = good;
	char why[VETO_WHY_MAX];

	(void)state;
	if (!load(dev, head, &slot)) {
		assert_int_equal(veto_device_submit(dev, &good, &out, 0), -EINVAL);
		goto close;
	}
	good.head = bad.head = slot;
	assert_int_equal(veto_device_score(dev, &good, &out), 0);
	bad.cols = 11;
	assert_int_equal(veto_device_submit(dev, &bad, &out, 0), -EINVAL);
	bad = good;
	bad.head = slot + 1;
	assert_int_equal(veto_device_submit(dev, &bad, &out, 0), -EINVAL);
	bad.head = UINT32_MAX;
	assert_int_equal(veto_device_submit(dev, &bad, &out, 0), -EINVAL);
	bad = good;
	bad.stride_bytes = 39;
	assert_int_equal(veto_device_submit(dev, &bad, &out, 0), -EINVAL);
	bad = good;
	bad.kind = (enum veto_kind)(VETO_HIDDEN + 1);
	assert_int_equal(veto_device_submit(dev, &bad, &out, 0), -EINVAL);
	assert_int_equal(veto_device_submit(dev, &good, &out, 0), 0);
	assert_int_equal(veto_device_load(dev, head, &more[0], why), -EBUSY);
	assert_int_equal(veto_device_reap(dev, -1, &(struct veto_done){0}), 0);
	if (load(dev, table, &table_slot)) {
		bad = good;
		bad.head = table_slot;
		assert_int_equal(veto_device_submit(dev, &bad, &out, 0), -EINVAL); /* without tokens */
		bad.token = &token;
		assert_int_equal(veto_device_submit(dev, &bad, &out, 0), -EINVAL); /* without log-probabilities */
		bad.token_logp_q20 = &logp;
		assert_int_equal(veto_device_submit(dev, &bad, &out, 0), -EINVAL); /* token 5 of 5 */
		token = 4;
		assert_int_equal(veto_device_score(dev, &bad, &out), 0);
		assert_int_equal(score.has, 1u << VETO_SELF_CERTAINTY);
		veto_device_unload(dev, table_slot);
		assert_int_equal(veto_device_submit(dev, &bad, &out, 0), -EINVAL);
	}
	for (int i = 1; i < VETO_HEADS_MAX; i++)
		assert_int_equal(veto_device_load(dev, head, &more[i], why), 0);
	assert_int_equal(veto_device_load(dev, head, &more[0], why), -ENOSPC);
	assert_non_null(strstr(why, "heads are loaded"));
close:
	veto_device_close(dev);
	veto_head_close(table);
	veto_head_close(head);
}

int contract_test_hidden(uint64_t products)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_head_scores_as_the_reference_says),
		cmocka_unit_test(heads_and_logits_do_not_mix),
		cmocka_unit_test(states_that_do_not_fit_are_refused),
	};

	budget = products;
	return cmocka_run_group_tests_name(contract_uri, tests, NULL, NULL);
}
