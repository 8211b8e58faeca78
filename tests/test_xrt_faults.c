/* SPDX-License-Identifier: Apache-2.0 */
/* What the xrt: device does when its card dies, hangs, strays or is slow, and what it leaves behind. */
#include "cards.h"
#include "check.h"
#include "clock.h"
#include "heads.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* With that fault the device opens, and its job fails: at once, or after one that is right. */
static void lose(const char *uri, const char *fault)
{
	struct veto_device *dev;
	struct veto_record record;
	char why[VETO_WHY_MAX];
	int err;

	setenv("VETO_MODEL_FAULT", fault, 1);
	if (veto_device_open(uri, &dev, why))
		fail_msg("%s, %s: %s", uri, fault, why);
	if (fault[strlen(fault) - 1] == '2') {
		assert_int_equal(card_score(dev, &record), 0);
		assert_int_equal(record.cnt, 3000);
	}
	err = card_score(dev, &record);
	/* What has died may keep XRT's shim waiting, too. */
	if (err != -ETIMEDOUT && (err != -EIO || *fault == 'h'))
		fail_msg("%s, %s: the job ended with %d", uri, fault, err);
	if (strcmp(veto_device_trouble(dev), "nothing came back for 2 s: it is lost") == 0
			? err != -ETIMEDOUT
			: strlen(veto_device_trouble(dev)) < 20)
		fail_msg("%s, %s: '%s'", uri, fault, veto_device_trouble(dev));
	assert_int_equal(card_score(dev, &record), err); /* lost is lost */
	veto_device_close(dev);
	assert_nothing_is_left();
	unsetenv("VETO_MODEL_FAULT");
	assert_int_equal(veto_device_open(uri, &dev, why), 0);
	assert_int_equal(card_score(dev, &record), 0);
	veto_device_close(dev);
}

static void a_card_that_fails_is_lost_and_can_be_opened_again(void **state)
{
	static const char *const faults[] = {"die:write:1", "die:run:1", "die:read:1", "hang:write:1", "hang:run:1",
		"hang:read:1", "stray:run:1", "skip:run:1", "die:run:2", "skip:run:2"};

	(void)state;
	for (size_t i = 0; i < CARDS * sizeof(faults) / sizeof(*faults); i++)
		lose(cards[i % CARDS], faults[i / CARDS]);
	assert_nothing_is_left();
}

static void a_card_that_fails_under_a_head_is_lost(void **state)
{
	static const char *const faults[] = {"die:write:1", "hang:write:1", "hang:write:2"};
	struct veto_head *head = head_new(shape_named("token-prm"), VETO_INT16, 100, 1);
	struct veto_record record;
	struct veto_device *dev;
	char why[VETO_WHY_MAX];
	uint32_t slot;

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
		setenv("VETO_MODEL_FAULT", faults[i], 1);
		assert_int_equal(veto_device_open(cards[i % CARDS], &dev, why), 0);
		assert_true(veto_device_load(dev, head, &slot, why) < 0);
		if (!strstr(why, "the card is lost"))
			fail_msg("%s: '%s'", faults[i], why);
		assert_true(card_score(dev, &record) < 0);
		assert_true(veto_device_load(dev, head, &slot, why) < 0);
		veto_device_close(dev);
		assert_nothing_is_left();
	}
	unsetenv("VETO_MODEL_FAULT");
	veto_head_close(head);
}

static void a_card_that_does_not_open_is_an_error(void **state)
{
	static const char *const faults[] = {"die:load:1", "hang:load:1"};
	struct veto_device *dev;
	char why[VETO_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < CARDS * 2; i++) {
		setenv("VETO_MODEL_FAULT", faults[i / CARDS], 1);
		assert_true(veto_device_open(cards[i % CARDS], &dev, why) < 0);
		assert_int_equal(strncmp(why, "xrt: ", 5), 0);
		assert_nothing_is_left();
	}
	unsetenv("VETO_MODEL_FAULT");
}

static void a_burst_that_leaves_its_buffer_ends_the_card(void **state)
{
	char text[4096], uri[VETO_TEXT_MAX];
	struct hearing hearing = hear();
	int err;
	struct veto_record record;
	struct veto_device *dev;

	(void)state;
	snprintf(uri, sizeof(uri), "%s,xclbin=%s", cards[0], STRAYING_IMAGE);
	err = veto_device_open(uri, &dev, NULL);
	if (err == 0) {
		err = card_score(dev, &record);
		veto_device_close(dev);
	}
	hear_end(&hearing, text);
	assert_int_equal(err, -EIO);
	if (!strstr(text, "veto model: veto_score_logits_1: 128 bytes at 0x"))
		fail_msg("no word of the burst: '%s'", text);
	assert_nothing_is_left();
}

/* Two launches: the second one goes to the second unit, whose fault names it. */
static void launches_run_on_every_unit(void **state)
{
	enum { ROWS = 2048, COLS = 30 };
	static const float many[ROWS * COLS];
	struct veto_rows r = {.rows = ROWS, .cols = COLS, .stride_bytes = COLS * sizeof(*many), .data = many};
	struct veto_results out = {0};
	struct veto_device *dev;
	char text[4096];

	(void)state;
	setenv("VETO_MODEL_FAULT", "stray:run:2", 1);
	for (size_t i = 0; i < CARDS; i++) {
		struct hearing hearing = hear();
		int err = veto_device_open(cards[i], &dev, NULL);

		if (err == 0) {
			err = veto_device_score(dev, &r, &out);
			veto_device_close(dev);
		}
		hear_end(&hearing, text);
		assert_int_equal(err, -EIO);
		if (!strstr(text, "veto model: veto_score_logits_2: "))
			fail_msg("no word of the second unit: '%s'", text);
	}
	unsetenv("VETO_MODEL_FAULT");
}

/* A launch takes three copies to the card.  Those of the four launches that wait for each other last longer than the
 * deadline, and each launch is in time. */
static void a_slow_link_is_no_hang(void **state)
{
	enum { ROWS = 6000, COLS = 30 };
	static const float many[ROWS * COLS];
	struct veto_record *record = calloc(ROWS, sizeof(*record));
	struct veto_rows r = {.rows = ROWS, .cols = COLS, .stride_bytes = COLS * sizeof(*many), .data = many};
	struct veto_results out = {.record = record};
	struct veto_device *dev;

	(void)state;
	setenv("VETO_MODEL_FAULT", "slow:write:300", 1);
	for (size_t i = 0; i < CARDS; i++) {
		const uint64_t start = clock_ns();

		assert_int_equal(veto_device_open(cards[i], &dev, NULL), 0);
		assert_int_equal(veto_device_score(dev, &r, &out), 0);
		assert_in_range(clock_ns() - start, 5000000000, UINT64_MAX);
		veto_device_close(dev);
	}
	unsetenv("VETO_MODEL_FAULT");
	free(record);
}

static void a_link_too_slow_for_the_deadline_is_lost(void **state)
{
	struct veto_record record;
	struct veto_device *dev;

	(void)state;
	setenv("VETO_MODEL_FAULT", "slow:write:3000", 1);
	for (size_t i = 0; i < CARDS; i++) {
		const uint64_t start = clock_ns();

		assert_int_equal(veto_device_open(cards[i], &dev, NULL), 0);
		assert_int_equal(card_score(dev, &record), -ETIMEDOUT);
		assert_in_range(clock_ns() - start, 2000000000, 6000000000);
		veto_device_close(dev);
	}
	unsetenv("VETO_MODEL_FAULT");
	assert_nothing_is_left();
}

static void a_device_closes_with_a_card_that_hangs(void **state)
{
	struct veto_results none = {0};
	struct veto_device *dev;

	(void)state;
	setenv("VETO_MODEL_FAULT", "hang:run:1", 1);
	for (size_t i = 0; i < CARDS; i++) {
		assert_int_equal(veto_device_open(i ? "xrt:emulation=hw,deadline=600" : "xrt:emulation=sw,deadline=600",
					 &dev, NULL),
			0);
		assert_int_equal(veto_device_submit(dev, &card_row, &none, 1), 0);
		veto_device_close(dev);
	}
	unsetenv("VETO_MODEL_FAULT");
	assert_nothing_is_left();
}

static void a_bit_that_flips_on_the_card_is_seen_in_the_record(void **state)
{
	struct veto_record right, wrong;
	struct veto_device *dev;

	(void)state;
	assert_int_equal(veto_device_open("cpu:", &dev, NULL), 0);
	assert_int_equal(card_score(dev, &right), 0);
	veto_device_close(dev);
	setenv("VETO_MODEL_FAULT", "flip:read:1", 1);
	for (size_t i = 0; i < CARDS; i++) {
		assert_int_equal(veto_device_open(cards[i], &dev, NULL), 0);
		assert_int_equal(card_score(dev, &wrong), 0);
		veto_device_close(dev);
		assert_int_equal(wrong.n, right.n ^ 1);
	}
	unsetenv("VETO_MODEL_FAULT");
}

/* A program that is killed without closing its device: once it is open, or so long after its start. */
static void kill_program(const char *uri, int64_t after_ms)
{
	const bool may_be_early = after_ms >= 0 && after_ms < 100;
	struct veto_device *dev;
	struct veto_record record;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		const int err = veto_device_open(uri, &dev, NULL);

		if (after_ms < 0)
			raise(SIGKILL);
		if (err == 0)
			card_score(dev, &record);
		pause();
	}
	if (after_ms >= 0) {
		usleep((unsigned)after_ms * 1000);
		kill(pid, SIGKILL);
	}
	assert_int_equal(waitpid(pid, &(int){0}, 0), pid);
	cards_watch(pid);
	for (int i = 0; i < 300 && cards_count_folders() > 0 && (!may_be_early || cards_count_processes() > 0); i++)
		usleep(20000);
	/* Before there is a child, nobody removes the folder but the next who opens a card. */
	if (may_be_early && cards_count_folders() > 0) {
		cards_age_folders();
		assert_int_equal(veto_device_open(cards[0], &dev, NULL), 0);
		veto_device_close(dev);
	}
	assert_nothing_is_left();
	cards_watch(getpid());
}

static void a_program_that_is_killed_leaves_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < CARDS; i++) {
		kill_program(cards[i], -1);
		for (int64_t ms = 4; ms < 100; ms += 12)
			kill_program(cards[i], ms);
	}
}

/* Nobody is there any more to see the deadline. */
static void a_program_that_is_killed_with_a_card_that_hangs_leaves_nothing(void **state)
{
	static const char *const faults[] = {"hang:load:1", "hang:write:1", "hang:run:1", "hang:read:1"};

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
		setenv("VETO_MODEL_FAULT", faults[i], 1);
		kill_program(i % CARDS ? "xrt:emulation=hw,deadline=600" : "xrt:emulation=sw,deadline=600", 400);
	}
	unsetenv("VETO_MODEL_FAULT");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_card_that_fails_is_lost_and_can_be_opened_again),
		cmocka_unit_test(a_card_that_fails_under_a_head_is_lost),
		cmocka_unit_test(a_card_that_does_not_open_is_an_error),
		cmocka_unit_test(a_burst_that_leaves_its_buffer_ends_the_card),
		cmocka_unit_test(launches_run_on_every_unit),
		cmocka_unit_test(a_slow_link_is_no_hang),
		cmocka_unit_test(a_link_too_slow_for_the_deadline_is_lost),
		cmocka_unit_test(a_device_closes_with_a_card_that_hangs),
		cmocka_unit_test(a_bit_that_flips_on_the_card_is_seen_in_the_record),
		cmocka_unit_test(a_program_that_is_killed_leaves_nothing),
		cmocka_unit_test(a_program_that_is_killed_with_a_card_that_hangs_leaves_nothing),
	};

	cards_watch(getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
