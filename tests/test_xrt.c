/* SPDX-License-Identifier: Apache-2.0 */
/* What the xrt: device does when its card dies, hangs or strays, and what it leaves behind. */
#include "check.h"
#include "clock.h"
#include "veto.h"
#include "xclbin.h"

#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const uris[] = {"xrt:emulation=sw,deadline=2", "xrt:emulation=hw,deadline=2"};
#define URIS (sizeof(uris) / sizeof(*uris))

static const float row[3000] = {1, 2, 3};
static const struct veto_rows rows = {.rows = 1, .cols = 3000, .stride_bytes = sizeof(row), .data = row, .top_k = 3};

/* Folders of the process that is looked at, and part of the environment of those that run in them. */
static char name[40];

static bool runs_in_its_folder(const char *environ_path)
{
	static char text[1 << 16];
	FILE *in = fopen(environ_path, "re");
	size_t bytes;

	if (!in)
		return false;
	bytes = fread(text, 1, sizeof(text), in);
	fclose(in);
	return memmem(text, bytes, name, strlen(name)) != NULL;
}

static int count_processes(void)
{
	glob_t found;
	int count = 0;

	if (glob("/proc/[0-9]*/environ", 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			count += runs_in_its_folder(found.gl_pathv[i]);
	globfree(&found);
	return count;
}

static size_t count_folders(void)
{
	char folders[64];
	glob_t found;
	size_t count;

	snprintf(folders, sizeof(folders), "/tmp/%s*", name);
	count = glob(folders, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
	globfree(&found);
	return count;
}

static void assert_nothing_is_left(void)
{

	for (int i = 0; i < 100 && count_processes() > 0; i++)
		usleep(20000);
	assert_int_equal(count_processes(), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child, no zombie */
	assert_int_equal(count_folders(), 0);
	assert_int_equal(access(".run", F_OK), -1); /* which XRT makes wherever it is */
}

static int score(struct veto_device *dev, struct veto_record *record)
{
	struct veto_results out = {.record = record};

	return veto_device_score(dev, &rows, &out);
}

/* With that fault the device opens, and its job fails: at once, or after one that is right. */
static void lose(const char *uri, const char *fault)
{
	struct veto_device *dev;
	struct veto_record record;
	char why[VETO_WHY_MAX];

	setenv("VETO_MODEL_FAULT", fault, 1);
	if (veto_device_open(uri, &dev, why))
		fail_msg("%s, %s: %s", uri, fault, why);
	if (fault[strlen(fault) - 1] == '2') {
		assert_int_equal(score(dev, &record), 0);
		assert_int_equal(record.cnt, 3000);
	}
	if (score(dev, &record) != -EIO)
		fail_msg("%s, %s: the job did not fail", uri, fault);
	assert_int_equal(score(dev, &record), -EIO); /* lost is lost */
	veto_device_close(dev);
	assert_nothing_is_left();
	unsetenv("VETO_MODEL_FAULT");
	assert_int_equal(veto_device_open(uri, &dev, why), 0);
	assert_int_equal(score(dev, &record), 0);
	veto_device_close(dev);
}

static void a_card_that_fails_is_lost_and_can_be_opened_again(void **state)
{
	static const char *const faults[] = {"die:write:1", "die:run:1", "die:read:1", "hang:write:1", "hang:run:1",
		"hang:read:1", "stray:run:1", "skip:run:1", "die:run:2", "skip:run:2"};

	(void)state;
	for (size_t i = 0; i < URIS * sizeof(faults) / sizeof(*faults); i++)
		lose(uris[i % URIS], faults[i / URIS]);
	assert_nothing_is_left();
}

static void a_card_that_does_not_open_is_an_error(void **state)
{
	static const char *const faults[] = {"die:load:1", "hang:load:1"};
	struct veto_device *dev;
	char why[VETO_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < URIS * 2; i++) {
		setenv("VETO_MODEL_FAULT", faults[i / URIS], 1);
		assert_true(veto_device_open(uris[i % URIS], &dev, why) < 0);
		assert_int_equal(strncmp(why, "xrt: ", 5), 0);
		assert_nothing_is_left();
	}
	unsetenv("VETO_MODEL_FAULT");
}

/* What a child and its model say goes to standard error. */
static int hear(int *before)
{
	int heard = memfd_create("heard", MFD_CLOEXEC);

	*before = dup(STDERR_FILENO);
	assert_int_equal(dup2(heard, STDERR_FILENO), STDERR_FILENO);
	return heard;
}

static void stop_hearing(int heard, int before, char text[4096])
{
	ssize_t bytes = pread(heard, text, 4095, 0);

	assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
	close(before);
	close(heard);
	text[bytes > 0 ? bytes : 0] = 0;
}

static void a_burst_that_leaves_its_buffer_ends_the_card(void **state)
{
	char text[4096], uri[VETO_TEXT_MAX];
	int before, heard = hear(&before), err;
	struct veto_record record;
	struct veto_device *dev;

	(void)state;
	snprintf(uri, sizeof(uri), "%s,xclbin=%s", uris[0], STRAYING_IMAGE);
	err = veto_device_open(uri, &dev, NULL);
	if (err == 0) {
		err = score(dev, &record);
		veto_device_close(dev);
	}
	stop_hearing(heard, before, text);
	assert_int_equal(err, -EIO);
	if (!strstr(text, "veto model: veto_score_logits: 128 bytes at 0x"))
		fail_msg("no word of the burst: '%s'", text);
	assert_nothing_is_left();
}

/* A launch takes three copies to the card.  Together these last longer than the deadline, and each launch is in time. */
static void a_slow_link_is_no_hang(void **state)
{
	enum { ROWS = 6000, COLS = 30 };
	static const float many[ROWS * COLS];
	struct veto_record *record = calloc(ROWS, sizeof(*record));
	struct veto_rows r = {.rows = ROWS, .cols = COLS, .stride_bytes = COLS * sizeof(*many), .data = many};
	struct veto_results out = {.record = record};
	struct veto_device *dev;

	(void)state;
	setenv("VETO_MODEL_FAULT", "slow:write:150", 1);
	for (size_t i = 0; i < URIS; i++) {
		const uint64_t start = clock_ns();

		assert_int_equal(veto_device_open(uris[i], &dev, NULL), 0);
		assert_int_equal(veto_device_score(dev, &r, &out), 0);
		assert_in_range(clock_ns() - start, 2500000000, UINT64_MAX);
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
	for (size_t i = 0; i < URIS; i++) {
		const uint64_t start = clock_ns();

		assert_int_equal(veto_device_open(uris[i], &dev, NULL), 0);
		assert_int_equal(score(dev, &record), -EIO);
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
	for (size_t i = 0; i < URIS; i++) {
		assert_int_equal(veto_device_open(i ? "xrt:emulation=hw,deadline=600" : "xrt:emulation=sw,deadline=600",
					 &dev, NULL),
			0);
		assert_int_equal(veto_device_submit(dev, &rows, &none, 1), 0);
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
	assert_int_equal(score(dev, &right), 0);
	veto_device_close(dev);
	setenv("VETO_MODEL_FAULT", "flip:read:1", 1);
	for (size_t i = 0; i < URIS; i++) {
		assert_int_equal(veto_device_open(uris[i], &dev, NULL), 0);
		assert_int_equal(score(dev, &wrong), 0);
		veto_device_close(dev);
		assert_int_equal(wrong.n, right.n ^ 1);
	}
	unsetenv("VETO_MODEL_FAULT");
}

/* A program that ends, or is killed, without closing its device. */
static void kill_program(const char *uri)
{
	struct veto_device *dev;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (veto_device_open(uri, &dev, NULL) == 0)
			raise(SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &(int){0}, 0), pid);
	snprintf(name, sizeof(name), "veto-xrt.%ld.", (long)pid);
	for (int i = 0; i < 100 && count_folders() > 0; i++)
		usleep(20000);
	assert_nothing_is_left();
	snprintf(name, sizeof(name), "veto-xrt.%ld.", (long)getpid());
}

static void a_program_that_is_killed_leaves_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < URIS; i++)
		kill_program(uris[i]);
}

static void cards_of_both_kinds_score_in_one_program(void **state)
{
	enum { CARDS = 4 };
	struct veto_device *dev[CARDS];
	struct veto_record record[CARDS];
	struct veto_done done;

	(void)state;
	for (int i = 0; i < CARDS; i++)
		assert_int_equal(veto_device_open(uris[i % URIS], &dev[i], NULL), 0);
	assert_int_equal(count_processes(), 2 * CARDS); /* children, each with its model */
	for (int i = 0; i < CARDS; i++) {
		struct veto_results out = {.record = &record[i]};

		assert_int_equal(veto_device_submit(dev[i], &rows, &out, 7), 0);
	}
	for (int i = 0; i < CARDS; i++) {
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
		{XCLBIN_HW_EMULATION, "veto contract 1 arithmetic 1", "veto_score_logits:u",
			"for mode 4, and mode 5 is"},
		{XCLBIN_HARDWARE, "veto contract 1 arithmetic 1", "veto_score_logits:u", "for mode 0, and mode 5 is"},
		{XCLBIN_SW_EMULATION, "{}", "veto_score_logits:u", "does not state the versions"},
		{XCLBIN_SW_EMULATION, "veto contract 9 arithmetic 1", "veto_score_logits:u",
			"follow contract 9, and 1 is"},
		{XCLBIN_SW_EMULATION, "veto contract 1 arithmetic 7", "veto_score_logits:u",
			"arithmetic is version 7, and 1 is"},
		{XCLBIN_SW_EMULATION, "veto contract 1 arithmetic 1", "vadd:vadd_1",
			"no kernel veto_score_logits; it has: vadd:vadd_1"},
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

static void parts_that_are_missing_are_named(void **state)
{
	struct veto_device *dev;
	char why[VETO_WHY_MAX];

	(void)state;
	setenv("VETO_LIBEXEC", "/nowhere", 1);
	for (size_t i = 0; i < URIS; i++) {
		assert_int_equal(veto_device_open(uris[i], &dev, why), -ENODEV);
		assert_non_null(strstr(why, i ? "veto-hw-emu.xclbin" : "veto-sw-emu.xclbin"));
	}
	unsetenv("VETO_LIBEXEC");
	assert_int_equal(veto_device_open("xrt:", &dev, why), -EINVAL);
	assert_non_null(strstr(why, "emulation is required"));
}

static void without_unzip_there_is_no_hardware_emulation(void **state)
{
	char *path = strdup(getenv("PATH")), why[VETO_WHY_MAX];
	struct veto_device *dev;
	int err;

	(void)state;
	setenv("PATH", "/nowhere:/dev", 1);
	err = veto_device_open(uris[1], &dev, why);
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
	for (size_t i = 0; i < URIS; i++) {
		uint64_t best = UINT64_MAX;

		for (int turn = 0; turn < 3; turn++) { /* this machine may be busy */
			const uint64_t start = clock_ns();
			struct veto_record record;
			struct veto_device *dev;

			assert_int_equal(veto_device_open(uris[i], &dev, NULL), 0);
			assert_int_equal(score(dev, &record), 0);
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
		cmocka_unit_test(a_bit_that_flips_on_the_card_is_seen_in_the_record),
		cmocka_unit_test(a_card_that_fails_is_lost_and_can_be_opened_again),
		cmocka_unit_test(a_card_that_does_not_open_is_an_error),
		cmocka_unit_test(a_burst_that_leaves_its_buffer_ends_the_card),
		cmocka_unit_test(a_slow_link_is_no_hang),
		cmocka_unit_test(a_link_too_slow_for_the_deadline_is_lost),
		cmocka_unit_test(a_device_closes_with_a_card_that_hangs),
		cmocka_unit_test(images_that_do_not_fit_are_refused),
		cmocka_unit_test(a_program_that_is_killed_leaves_nothing),
		cmocka_unit_test(a_card_opens_scores_and_closes_within_a_second),
		cmocka_unit_test(without_unzip_there_is_no_hardware_emulation),
		cmocka_unit_test(parts_that_are_missing_are_named),
	};

	snprintf(name, sizeof(name), "veto-xrt.%ld.", (long)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
