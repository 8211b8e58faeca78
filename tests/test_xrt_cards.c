/* SPDX-License-Identifier: Apache-2.0 */
/* Cards in a made-up sysfs, and what the xrt: device does where there is none. */
#include "cards.h"
#include "check.h"
#include "worker.h"
#include "xclbin.h"
#include "xrt_cards.h"
#include "xrt_folder.h"
#include "xrt_link.h"
#include "xrt_place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/veto_sysfs.XXXXXX";

#define U50 "xilinx_u50_gen3x16_xdma_5_202210_1"

static void make_file(const char *folder, const char *name, const char *text)
{
	char path[256];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	out = fopen(path, "we");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static void make_card(const char *address, const char *vendor, const char *ready, const char *platform)
{
	char folder[128], rom[192];

	snprintf(folder, sizeof(folder), "%s/drivers/xocl/%s", root, address);
	snprintf(rom, sizeof(rom), "%s/rom.u.1048576", folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(mkdir(rom, 0700), 0);
	make_file(folder, "vendor", vendor);
	make_file(folder, "ready", ready);
	make_file(rom, "VBNV", platform);
}

static int make_root(void **state)
{
	char folder[64];

	(void)state;
	assert_non_null(mkdtemp(root));
	snprintf(folder, sizeof(folder), "%s/drivers", root);
	assert_int_equal(mkdir(folder, 0700), 0);
	snprintf(folder, sizeof(folder), "%s/drivers/xocl", root);
	assert_int_equal(mkdir(folder, 0700), 0);
	make_file(folder, "bind", "");
	make_card("0000:b3:00.1", "0x10ee\n", "1\n", U50 "\n");
	make_card("0000:17:00.1", "0x10ee\n", "0x1\n", "xilinx_u99_1\n");
	make_card("0000:18:00.1", "0x1234\n", "1\n", "other\n");
	make_card("0000:c0:00.1", "0x10ee\n", "0\n", U50 "\n");
	return 0;
}

static int remove_root(void **state)
{
	(void)state;
	folder_remove(root);
	return 0;
}

static void cards_are_found_in_the_order_of_their_addresses(void **state)
{
	struct card card;

	(void)state;
	assert_int_equal(cards_count(root), 3);
	assert_int_equal(cards_find(root, 0, &card, NULL), 0);
	assert_string_equal(card.address, "0000:17:00.1");
	assert_string_equal(card.platform, "xilinx_u99_1");
	assert_string_equal(card_board(&card), "another board");
	assert_int_equal(cards_find(root, 1, &card, NULL), 0);
	assert_string_equal(card.address, "0000:b3:00.1");
	assert_string_equal(card_board(&card), "U50");
}

static void a_card_that_is_not_there_or_not_ready_is_an_error(void **state)
{
	char why[VETO_WHY_MAX];
	struct card card;

	(void)state;
	assert_int_equal(cards_find(root, 2, &card, why), -ENODEV);
	assert_string_equal(why, "xrt: card 2 (0000:c0:00.1) is not ready, says xocl");
	assert_int_equal(cards_find(root, 3, &card, why), -ENODEV);
	assert_string_equal(
		why, "xrt: there is no card 3: the kernel module xocl has 3; emulation=sw and emulation=hw need none");
	assert_int_equal(cards_find("/nowhere", 0, &card, why), -ENODEV);
}

static void an_image_for_another_shell_is_refused(void **state)
{
	char why[VETO_WHY_MAX];
	struct card card;

	(void)state;
	assert_int_equal(cards_find(root, 1, &card, NULL), 0);
	assert_int_equal(card_check(&card, U50, "x", why), 0);
	assert_int_equal(card_check(&card, "xilinx:u50:gen3x16_xdma:5.202210.1", "x", why), 0);
	assert_int_equal(card_check(&card, U50 "0", "x", why), -EINVAL);
	assert_int_equal(card_check(&card, "xilinx_u50", "x", why), -EINVAL);
	assert_string_equal(
		why, "xrt: x: it is an image for 'xilinx_u50', and the card at 0000:b3:00.1 has the shell '" U50 "'");
}

/* The value of a variable in the environment of a place; NULL: it has none. */
static const char *find_variable(const struct place *p, const char *name)
{
	for (char **entry = p->environment; *entry; entry++)
		if (strncmp(*entry, name, strlen(name)) == 0 && (*entry)[strlen(name)] == '=')
			return *entry + strlen(name) + 1;
	return NULL;
}

static void a_card_has_the_users_environment(void **state)
{
	struct place p;

	(void)state;
	setenv("XCL_EMULATION_MODE", "sw_emu", 1);
	setenv("XILINX_XRT", "/opt/xilinx/xrt", 1);
	setenv("USER", "somebody", 1);
	assert_int_equal(place_make(&p, XCLBIN_HARDWARE, NULL), 0);
	unsetenv("XCL_EMULATION_MODE");
	assert_null(find_variable(&p, "XCL_EMULATION_MODE"));
	assert_null(find_variable(&p, "LD_PRELOAD"));
	assert_string_equal(find_variable(&p, "XILINX_XRT"), "/opt/xilinx/xrt");
	assert_string_equal(find_variable(&p, "USER"), "somebody");
	place_remove(&p);
	unsetenv("XILINX_XRT");
	assert_int_equal(place_make(&p, XCLBIN_HARDWARE, NULL), 0);
	assert_int_equal(strncmp(find_variable(&p, "XILINX_XRT"), p.folder, strlen(p.folder)), 0);
	place_remove(&p);
	assert_nothing_is_left();
}

/* XRT itself, in its mode for hardware, is asked for a card that is not there. */
static void a_child_without_its_card_says_so(void **state)
{
	struct link_hello hello;
	struct worker worker;
	struct place p;

	(void)state;
	assert_int_equal(place_make(&p, XCLBIN_HARDWARE, NULL), 0);
	const struct link_units units = {{1, 1}, 1};
	char *argv[] = {p.child, "/nowhere.xclbin", "1", "1", "1", p.folder, "0000:ff:1f.7", NULL};

	assert_int_equal(worker_start(argv, p.environment, p.folder, link_memory_bytes(&units), &worker), 0);
	assert_int_equal(worker_receive(&worker, &hello, sizeof(hello), 10000000000), 0);
	assert_true(hello.status < 0);
	assert_int_equal(strncmp(hello.text, "xrtDeviceOpen failed: ", 22), 0);
	worker_stop(&worker, 1000000000);
	place_remove(&p);
	assert_nothing_is_left();
}

static void without_a_card_there_is_an_error(void **state)
{
	struct veto_device *dev;
	char why[VETO_WHY_MAX];

	(void)state;
	assert_int_equal(veto_device_open("xrt:emulation=sw,index=1", &dev, why), -EINVAL);
	assert_string_equal(why, "xrt: index=1 is of a card, and emulation has one only");
	if (cards_count(CARDS_SYSFS) > 0) {
		print_message("skipped: there is a card\n");
		skip();
	}
	assert_int_equal(veto_device_open("xrt:", &dev, why), -ENODEV);
	assert_non_null(strstr(why, "there is no card 0: "));
	assert_int_equal(veto_device_open("xrt:index=3,xclbin=/nowhere.xclbin", &dev, why), -ENODEV);
	assert_non_null(strstr(why, "there is no card 3: "));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(cards_are_found_in_the_order_of_their_addresses),
		cmocka_unit_test(a_card_that_is_not_there_or_not_ready_is_an_error),
		cmocka_unit_test(an_image_for_another_shell_is_refused),
		cmocka_unit_test(a_card_has_the_users_environment),
		cmocka_unit_test(a_child_without_its_card_says_so),
		cmocka_unit_test(without_a_card_there_is_an_error),
	};

	cards_watch(getpid());
	return cmocka_run_group_tests(tests, make_root, remove_root);
}
