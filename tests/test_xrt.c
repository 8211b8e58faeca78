/* SPDX-License-Identifier: Apache-2.0 */
/* What the xrt: device opens and refuses, and that it scores. */
#include "cards.h"
#include "check.h"
#include "clock.h"
#include "head.h"
#include "xclbin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void cards_of_both_kinds_score_in_one_program(void **state)
{
	enum { DEVICES = 2 * CARDS };
	struct veto_device *dev[DEVICES];
	struct veto_record record[DEVICES];
	struct veto_done done;

	(void)state;
	for (int i = 0; i < DEVICES; i++)
		assert_int_equal(veto_device_open(cards[i % CARDS], &dev[i], NULL), 0);
	assert_int_equal(cards_count_processes(), 2 * DEVICES); /* children, each with its model */
	for (int i = 0; i < DEVICES; i++) {
		struct veto_results out = {.record = &record[i]};

		assert_int_equal(veto_device_submit(dev[i], &card_row, &out, 7), 0);
	}
	for (int i = 0; i < DEVICES; i++) {
		assert_int_equal(veto_device_reap(dev[i], -1, &done), 0);
		assert_int_equal(done.status, 0);
		assert_true(done.device_ns > 0);
		veto_device_close(dev[i]);
		assert_memory_equal(&record[0], &record[i], sizeof(*record));
	}
	assert_nothing_is_left();
}

/* More rows than a launch takes, and than its memory holds. */
static void a_job_may_take_several_launches(void **state)
{
	enum { ROWS = 2500, COLS = 4000 };
	float *many = calloc((size_t)ROWS * COLS, sizeof(*many));
	struct veto_record *record = calloc(ROWS, sizeof(*record));
	struct veto_rows r = {.rows = ROWS, .cols = COLS, .stride_bytes = COLS * sizeof(*many), .data = many};
	struct veto_results out = {.record = record};
	struct veto_device *dev;

	(void)state;
	assert_true(many && record);
	for (uint32_t i = 0; i < ROWS; i++)
		many[(size_t)i * COLS] = (float)(i % 900);
	assert_int_equal(veto_device_open("xrt:emulation=sw", &dev, NULL), 0);
	assert_int_equal(veto_device_score(dev, &r, &out), 0);
	for (uint32_t i = 0; i < ROWS; i++) {
		assert_int_equal(record[i].cnt, COLS);
		assert_int_equal(record[i].tag, 0);
		assert_in_range(record[i].ymax, (i % 900) * 94548, (i % 900) * 94549);
	}
	veto_device_close(dev);
	free(many);
	free(record);
}

static void write_image(const char *path, uint16_t mode, const char *versions, const char *unit)
{
	struct {
		int32_t count, zero;
		struct xclbin_ip ip;
	} ips = {.count = 1, .ip = {.type = 1}};
	struct xclbin image = {.mode = mode,
		.sections = 2,
		.section = {{XCLBIN_USER_METADATA, versions, strlen(versions)}, {XCLBIN_IP_LAYOUT, &ips, sizeof(ips)}}};

	snprintf(ips.ip.name, sizeof(ips.ip.name), "%s", unit);
	assert_int_equal(xclbin_write(path, &image, NULL), 0);
}

static void images_that_do_not_fit_are_refused(void **state)
{
	static const struct {
		uint16_t mode;
		const char *versions, *unit, *why;
	} bad[] = {
		{XCLBIN_HW_EMULATION, "veto contract 2 FX 1 HX 1", "veto_score_logits:veto_score_logits_1",
			"an image for hw_emu, and one for sw_emu is wanted"},
		{XCLBIN_HARDWARE, "veto contract 2 FX 1 HX 1", "veto_score_logits:veto_score_logits_1",
			"an image for hw, and one for sw_emu is wanted"},
		{XCLBIN_SW_EMULATION, "{}", "veto_score_logits:veto_score_logits_1", "does not state the versions"},
		{XCLBIN_SW_EMULATION, "veto contract 9 FX 1 HX 1", "veto_score_logits:veto_score_logits_1",
			"follow contract 9, and 2 is"},
		{XCLBIN_SW_EMULATION, "veto contract 2 FX 7 HX 1", "veto_score_logits:veto_score_logits_1",
			"arithmetic for logits is version 7, and 1 is"},
		{XCLBIN_SW_EMULATION, "veto contract 2 FX 1 HX 5", "veto_score_logits:veto_score_logits_1",
			"arithmetic for hidden states is version 5, and 1 is"},
		{XCLBIN_SW_EMULATION, "veto contract 2 FX 1 HX 1", "vadd:vadd_1",
			"no kernel veto_score_logits; it has: vadd:vadd_1"},
		{XCLBIN_SW_EMULATION, "veto contract 2 FX 1 HX 1", "veto_score_logits:veto_score_logits_1",
			"no kernel veto_score_hidden; it has: veto_score_logits:veto_score_logits_1"},
		{XCLBIN_SW_EMULATION, "veto contract 2 FX 1 HX 1", "veto_score_logits:veto_score_logits_2",
			"a unit is named 'veto_score_logits:veto_score_logits_2'; its units are to be named "
			"veto_score_logits_1 to _1"},
	};
	char path[] = "/tmp/veto_image.XXXXXX", uri[128], why[VETO_WHY_MAX];
	struct veto_device *dev;

	(void)state;
	close(mkstemp(path));
	snprintf(uri, sizeof(uri), "xrt:emulation=sw,xclbin=%s", path);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		write_image(path, bad[i].mode, bad[i].versions, bad[i].unit);
		assert_int_equal(veto_device_open(uri, &dev, why), -EINVAL);
		if (!strstr(why, bad[i].why) || !strstr(why, path))
			fail_msg("'%s' lacks '%s'", why, bad[i].why);
	}
	unlink(path);
	assert_int_equal(veto_device_open(uri, &dev, why), -EINVAL);
	assert_non_null(strstr(why, "can't read '/tmp/veto_image."));
	assert_nothing_is_left();
}

/* The image for software emulation, on a card whose memory has so many bytes. */
static void write_small_image(const char *path, uint64_t bytes)
{
	char *own = NULL, why[VETO_WHY_MAX];
	const uint64_t kib = bytes >> 10;
	struct xclbin image;
	void *memory;

	assert_true(asprintf(&own, "%s/veto-sw-emu.xclbin", VETO_IMAGES) > 0);
	assert_int_equal(xclbin_load(own, &image, &memory, why), 0);
	memcpy((char *)xclbin_find(&image, XCLBIN_MEM_TOPOLOGY)->data + 8 + offsetof(struct xclbin_memory, kib), &kib,
		sizeof(kib));
	if (xclbin_write(path, &image, why))
		fail_msg("%s", why);
	free(memory);
	free(own);
}

/* Of two layers, of zeros. */
static void large_head(struct veto_head *head, uint32_t rows)
{
	enum { COLS = 16384 };
	void *weights = calloc(rows, COLS * sizeof(int16_t)); /* of both layers */
	struct veto_weight_scale *scale = calloc(rows, sizeof(*scale));

	assert_true(weights && scale);
	*head = (struct veto_head){.info = {.kind = VETO_HEAD_DENSE, .cols = COLS, .outputs = 1, .layers = 2},
		.layer = {{rows, COLS, VETO_INT16, weights, scale}, {1, rows, VETO_INT16, weights, scale}},
		.scale = scale};
}

static void heads_take_the_card_s_memory_and_give_it_back(void **state)
{
	enum { BYTES = 192 << 20, ROWS = 2048 };
	const size_t weights = 2 * sizeof(int16_t) * ROWS * 16384; /* in the child, and in its model */
	char path[] = "/tmp/veto_image.XXXXXX", uri[64], why[VETO_WHY_MAX], expected[64];
	struct veto_device *dev;
	struct veto_head head;
	uint32_t slot;
	size_t before;

	(void)state;
	close(mkstemp(path));
	write_small_image(path, BYTES);
	snprintf(uri, sizeof(uri), "xrt:emulation=sw,xclbin=%s", path);
	if (veto_device_open(uri, &dev, why))
		fail_msg("%s", why);
	large_head(&head, ROWS);
	before = cards_memory();
	if (veto_device_load(dev, &head, &slot, why))
		fail_msg("%s", why);
	assert_true(cards_memory() >= before + weights);
	veto_device_unload(dev, slot);
	assert_true(cards_memory() < before + weights);
	free((void *)head.layer[0].weight);
	free(head.scale);
	large_head(&head, 3 * ROWS);
	assert_int_equal(veto_device_load(dev, &head, &slot, why), -ENOSPC);
	snprintf(expected, sizeof(expected), "1 ports, and there a buffer has at most %d", BYTES);
	if (!strstr(why, "201338880 bytes of weights") || !strstr(why, expected))
		fail_msg("%s", why);
	free((void *)head.layer[0].weight);
	free(head.scale);
	veto_device_close(dev);
	unlink(path);
	assert_nothing_is_left();
}

static void parts_that_are_missing_are_named(void **state)
{
	static const char *const parts[] = {
		"veto-xrt", "veto-model", "veto-xrt-guard.so", "veto-sw-emu.xclbin", "veto-hw-emu.xclbin"};
	char folder[] = "/tmp/veto_parts.XXXXXX", path[128], expected[128], why[VETO_WHY_MAX];
	struct veto_device *dev;

	(void)state;
	assert_non_null(mkdtemp(folder));
	setenv("VETO_LIBEXEC", folder, 1);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		assert_int_equal(veto_device_open(cards[i == 4], &dev, why), -ENODEV);
		snprintf(expected, sizeof(expected), "xrt: %s is missing", parts[i]);
		if (strncmp(why, expected, strlen(expected)) != 0)
			fail_msg("'%s' does not start with '%s'", why, expected);
		snprintf(path, sizeof(path), "%s/%s", folder, parts[i]);
		assert_int_equal(symlink("/bin/true", path), 0);
	}
	unsetenv("VETO_LIBEXEC");
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, parts[i]);
		unlink(path);
	}
	rmdir(folder);
}

static void without_unzip_there_is_no_hardware_emulation(void **state)
{
	const char *before = getenv("PATH");
	char *path = strdup(before ? before : ""), why[VETO_WHY_MAX];
	struct veto_device *dev;
	int err;

	(void)state;
	setenv("PATH", "/nowhere:/dev", 1);
	err = veto_device_open(cards[1], &dev, why);
	setenv("PATH", path, 1);
	free(path);
	assert_int_equal(err, -ENODEV);
	assert_non_null(strstr(why, "with unzip, which is not in PATH"));
	assert_nothing_is_left();
}

/* XRT's shims wait in whole seconds where nobody prevents it. */
static void a_card_opens_scores_and_closes_within_a_second(void **state)
{
	(void)state;
	for (size_t i = 0; i < CARDS; i++) {
		uint64_t best = UINT64_MAX;

		for (int turn = 0; turn < 3; turn++) { /* this machine may be busy */
			const uint64_t start = clock_ns();
			struct veto_record record;
			struct veto_device *dev;

			assert_int_equal(veto_device_open(cards[i], &dev, NULL), 0);
			assert_int_equal(card_score(dev, &record), 0);
			veto_device_close(dev);
			best = clock_ns() - start < best ? clock_ns() - start : best;
		}
		assert_in_range(best, 0, 999999999);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(cards_of_both_kinds_score_in_one_program),
		cmocka_unit_test(a_job_may_take_several_launches),
		cmocka_unit_test(images_that_do_not_fit_are_refused),
		cmocka_unit_test(heads_take_the_card_s_memory_and_give_it_back),
		cmocka_unit_test(a_card_opens_scores_and_closes_within_a_second),
		cmocka_unit_test(without_unzip_there_is_no_hardware_emulation),
		cmocka_unit_test(parts_that_are_missing_are_named),
	};

	cards_watch(getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
