/* SPDX-License-Identifier: Apache-2.0 */
/* What every device does: `contract URI LOGITS [ROWS]` checks the device, on so many logits, edges first, and on so many
 * random rows at least. */
#include "contract.h"
#include "check.h"
#include "rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SKIPPED 77

const char *contract_uri;
uint64_t contract_random_rows;

struct veto_device *contract_open(void)
{
	struct veto_device *dev;
	char why[VETO_WHY_MAX];

	if (veto_device_open(contract_uri, &dev, why))
		fail_msg("%s", why);
	return dev;
}

/* --- Jobs --- */

#define JOBS_MAX 64

/* Jobs of one row each. */
struct jobs {
	uint32_t row[JOBS_MAX][5000];
	struct veto_record record[JOBS_MAX];
	bool is_done[JOBS_MAX];
};

static int submit_one(struct veto_device *dev, struct jobs *jobs, uint32_t i)
{
	struct veto_rows rows = {.rows = 1, .cols = 5000 - i, .stride_bytes = sizeof(*jobs->row), .data = jobs->row[i]};
	struct veto_results out = {.record = &jobs->record[i]};

	row_make(ROW_MODEL, VETO_FP32, rows.cols, i, jobs->row[i]);
	return veto_device_submit(dev, &rows, &out, 1000 + i);
}

static void several_jobs_are_in_flight_and_each_is_reaped_once(void **state)
{
	static struct jobs jobs;
	struct veto_device *dev = contract_open();
	const uint32_t depth = veto_device_info(dev)->depth;
	struct veto_done done;

	(void)state;
	assert_in_range(depth, 2, JOBS_MAX - 1);
	assert_int_equal(veto_device_reap(dev, 0, &done), -ENOENT);
	for (uint32_t i = 0; i < depth; i++)
		assert_int_equal(submit_one(dev, &jobs, i), 0);
	assert_int_equal(submit_one(dev, &jobs, depth), -EAGAIN);
	for (uint32_t i = 0; i < depth; i++) {
		assert_int_equal(veto_device_reap(dev, -1, &done), 0);
		assert_in_range(done.tag, 1000, 1000 + depth - 1);
		assert_int_equal(done.status, 0);
		assert_false(jobs.is_done[done.tag - 1000]);
		jobs.is_done[done.tag - 1000] = true;
		assert_int_equal(jobs.record[done.tag - 1000].cnt, 5000 - (done.tag - 1000));
	}
	assert_int_equal(veto_device_reap(dev, 0, &done), -ENOENT);
	veto_device_close(dev);
}

static void a_job_without_rows_ends_among_others(void **state)
{
	static struct jobs jobs;
	struct veto_device *dev = contract_open();
	struct veto_rows empty = {.cols = 1, .stride_bytes = 4};
	struct veto_results none = {0};
	struct veto_done done;
	uint64_t tags = 0;

	(void)state;
	assert_int_equal(submit_one(dev, &jobs, 0), 0);
	assert_int_equal(veto_device_submit(dev, &empty, &none, 5), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(veto_device_reap(dev, -1, &done), 0);
		assert_int_equal(done.status, 0);
		tags += done.tag;
	}
	assert_int_equal(tags, 1005);
	veto_device_close(dev);
}

static void polling_reaps_in_the_end(void **state)
{
	static struct jobs jobs;
	struct veto_device *dev = contract_open();
	struct veto_done done;
	int err;

	(void)state;
	assert_int_equal(submit_one(dev, &jobs, 0), 0);
	while ((err = veto_device_reap(dev, 0, &done)) == -EAGAIN)
		usleep(100);
	assert_int_equal(err, 0);
	assert_int_equal(submit_one(dev, &jobs, 1), 0);
	while ((err = veto_device_reap(dev, 50000, &done)) == -EAGAIN)
		;
	assert_int_equal(err, 0);
	assert_int_equal(done.tag, 1001);
	veto_device_close(dev);
}

static void a_busy_device_refuses_to_score_alone(void **state)
{
	static struct jobs jobs;
	struct veto_device *dev = contract_open();
	struct veto_rows rows = {.cols = 1, .stride_bytes = 4};
	struct veto_results none = {0};

	(void)state;
	assert_int_equal(submit_one(dev, &jobs, 0), 0);
	assert_int_equal(veto_device_score(dev, &rows, &none), -EBUSY);
	veto_device_close(dev);
}

static void closing_ends_the_jobs_in_flight(void **state)
{
	static struct jobs jobs;

	(void)state;
	for (int round = 0; round < 5; round++) {
		struct veto_device *dev = contract_open();
		struct veto_done done;

		for (uint32_t i = 0; i < veto_device_info(dev)->depth; i++)
			assert_int_equal(submit_one(dev, &jobs, i), 0);
		if (round % 2)
			assert_int_equal(veto_device_reap(dev, -1, &done), 0);
		veto_device_close(dev);
	}
	veto_device_close(NULL);
}

/* --- What a device says and refuses --- */

static void a_device_opens_again_by_the_uri_it_states(void **state)
{
	struct veto_device *dev = contract_open(), *again;
	const struct veto_device_info *info = veto_device_info(dev);
	char why[VETO_WHY_MAX];

	(void)state;
	assert_true(info->formats != 0);
	assert_true(info->memories != 0);
	assert_int_equal(strncmp(info->uri, info->backend, strlen(info->backend)), 0);
	if (veto_device_open(info->uri, &again, why))
		fail_msg("%s", why);
	assert_string_equal(veto_device_info(again)->uri, info->uri);
	veto_device_close(again);
	veto_device_close(dev);
}

static void rows_out_of_range_are_refused(void **state)
{
	struct veto_device *dev = contract_open();
	float row[10] = {0};
	uint32_t token = 10, subset[] = {1, 2, 1}, beyond = 10;
	const struct veto_rows good = {.rows = 1, .cols = 10, .stride_bytes = sizeof(row), .data = row, .top_k = 3};
	struct veto_rows bad[13];
	struct veto_record record = {.cnt = 77};
	struct veto_results out = {.record = &record};

	(void)state;
	for (int i = 0; i < 13; i++)
		bad[i] = good;
	bad[0].cols = 0;
	bad[1].cols = VETO_VOCAB_MAX + 1;
	bad[2].stride_bytes = sizeof(row) - 1;
	bad[3].data = NULL;
	bad[4].top_k = VETO_TOP_MAX + 1;
	bad[5].token = &token;
	bad[6].subset = subset;
	bad[6].subset_tokens = 3;
	bad[7].subset = &beyond;
	bad[7].subset_tokens = 1;
	bad[8].subset = subset;
	bad[8].subset_tokens = VETO_SUBSET_MAX + 1;
	bad[9].format = VETO_FORMATS;
	for (int i = 0; i < 10; i++)
		if (veto_device_submit(dev, &bad[i], &out, 0) != -EINVAL)
			fail_msg("%s: bad rows %d were not refused", contract_uri, i);
	bad[10].memory = (enum veto_memory)(VETO_DEVICE + 1);
	bad[11].memory = VETO_DEVICE;
	assert_int_equal(veto_device_submit(dev, &bad[10], &out, 0), -EOPNOTSUPP);
	bad[12].subset_tokens = 1;
	assert_int_equal(veto_device_submit(dev, &bad[12], &out, 0), -EINVAL);
	if (!(veto_device_info(dev)->memories >> VETO_DEVICE & 1))
		assert_int_equal(veto_device_submit(dev, &bad[11], &out, 0), -EOPNOTSUPP);
	assert_int_equal(record.cnt, 77);
	assert_int_equal(veto_device_score(dev, &good, &out), 0);
	veto_device_close(dev);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_opens_again_by_the_uri_it_states),
		cmocka_unit_test(several_jobs_are_in_flight_and_each_is_reaped_once),
		cmocka_unit_test(a_job_without_rows_ends_among_others),
		cmocka_unit_test(polling_reaps_in_the_end),
		cmocka_unit_test(a_busy_device_refuses_to_score_alone),
		cmocka_unit_test(closing_ends_the_jobs_in_flight),
		cmocka_unit_test(rows_out_of_range_are_refused),
	};
	struct veto_device *dev;
	char why[VETO_WHY_MAX];
	int err;

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: contract URI LOGITS [ROWS]\n");
		return 2;
	}
	contract_uri = argv[1];
	contract_random_rows = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	err = veto_device_open(contract_uri, &dev, why);
	if (err == -ENODEV) {
		printf("skipped: %s\n", why);
		return SKIPPED;
	}
	if (!err)
		veto_device_close(dev);
	err = cmocka_run_group_tests_name(contract_uri, tests, NULL, NULL);
	err += contract_test_rows(strtoull(argv[2], NULL, 10));
	return err + contract_test_hidden(4 * strtoull(argv[2], NULL, 10)) ? 1 : 0;
}
