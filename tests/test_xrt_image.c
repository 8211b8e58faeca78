/* SPDX-License-Identifier: Apache-2.0 */
/* The images that were built, damaged in every section, table and number: the loader says what is wrong. */
#include "check.h"
#include "xrt_image.h"

#include "veto.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER_BYTES 456
#define SECTION_BYTES 40
/* In a section's header. */
#define KIND_AT 0
#define OFFSET_AT 24
#define SIZE_AT 32

static char *file, *copy;
static size_t file_bytes;
static uint16_t mode;
static char path[] = "/tmp/veto_damaged.XXXXXX";

static void read_image(const char *name, uint16_t its_mode)
{
	FILE *in = fopen(name, "re");
	long size;

	if (!in)
		fail_msg("can't open %s", name);
	fseek(in, 0, SEEK_END);
	size = ftell(in);
	rewind(in);
	file_bytes = (size_t)size;
	file = malloc(file_bytes);
	copy = malloc(file_bytes);
	assert_non_null(file);
	assert_non_null(copy);
	assert_int_equal(fread(file, 1, file_bytes, in), file_bytes);
	fclose(in);
	mode = its_mode;
}

/* What the loader says of so many bytes of the copy; the copy is the file again. */
static int judge(size_t bytes, char *why)
{
	struct image image = {0};
	FILE *out = fopen(path, "we");
	int err;

	assert_non_null(out);
	assert_int_equal(fwrite(copy, 1, bytes, out), bytes);
	fclose(out);
	*why = 0;
	err = image_check(path, mode, &image, why);
	memcpy(copy, file, file_bytes);
	return err;
}

static void refuse(const char *what, uint32_t section)
{
	char why[VETO_WHY_MAX];

	if (judge(file_bytes, why) != -EINVAL || !strstr(why, path))
		fail_msg("section %u, %s: '%s'", section, what, why);
}

static char *section_header(uint32_t i) { return copy + HEADER_BYTES + (size_t)i * SECTION_BYTES; }

static void damage_section(uint32_t i, uint32_t kind, uint64_t offset, uint64_t bytes)
{
	static const int32_t counts[] = {-1, INT32_MIN, 1000, INT32_MAX, 0};
	const uint64_t beyond[] = {file_bytes, UINT64_MAX, UINT64_MAX - 7, 1ull << 63}, none = 0, half = bytes / 2;

	for (size_t j = 0; j < sizeof(beyond) / sizeof(*beyond); j++) {
		memcpy(section_header(i) + OFFSET_AT, &beyond[j], 8);
		refuse("beyond the file", i);
		memcpy(section_header(i) + SIZE_AT, &beyond[j], 8);
		refuse("larger than the file", i);
	}
	memcpy(section_header(i) + SIZE_AT, &none, 8);
	refuse("empty", i);
	memcpy(section_header(i) + SIZE_AT, &half, 8);
	refuse("cut", i);
	section_header(i)[KIND_AT] = 77;
	refuse("gone", i);
	memset(copy + offset, 0, bytes);
	refuse("zeros", i);
	memset(copy + offset, 0xff, bytes);
	refuse("ones", i);
	copy[offset + bytes / 2] ^= 1;
	refuse("a bit flipped", i);
	for (size_t j = 0; j < sizeof(counts) / sizeof(*counts) && kind != XCLBIN_BITSTREAM; j++) {
		memcpy(copy + offset, &counts[j], 4);
		refuse("another count", i);
	}
}

static void damage_of_any_section_is_refused(void **state)
{
	char why[VETO_WHY_MAX];
	struct xclbin image;

	(void)state;
	memcpy(copy, file, file_bytes);
	if (judge(file_bytes, why))
		fail_msg("the whole image: %s", why);
	assert_int_equal(xclbin_read(file, file_bytes, "image", &image, why), 0);
	for (uint32_t i = 0; i < image.sections; i++)
		damage_section(i, image.section[i].kind, (uint64_t)((const char *)image.section[i].data - file),
			image.section[i].bytes);
	for (size_t bytes = 0; bytes < file_bytes; bytes += bytes < 1000 ? 61 : file_bytes / 16)
		assert_int_equal(judge(bytes, why), -EINVAL);
}

/* An image for a card has no uuid of veto's, and its tables are looked at all the same. */
static void tables_are_checked_without_a_uuid(void **state)
{
	static const uint32_t tables[] = {XCLBIN_MEM_TOPOLOGY, XCLBIN_CONNECTIVITY, XCLBIN_IP_LAYOUT};
	static const int32_t counts[] = {-1, 1000, INT32_MAX};
	char *name = file + 352, before = *name; /* of the platform */
	const uint16_t its_mode = mode;
	char why[VETO_WHY_MAX];
	struct xclbin image;

	(void)state;
	assert_int_equal(xclbin_read(file, file_bytes, "image", &image, why), 0);
	assert_int_equal(*name, 'v');
	*name = 'x';
	file[332] = XCLBIN_HARDWARE; /* the mode */
	mode = XCLBIN_HARDWARE;
	memcpy(copy, file, file_bytes);
	if (judge(file_bytes, why))
		fail_msg("an image for a card: %s", why);
	for (size_t i = 0; i < 3; i++)
		for (size_t j = 0; j < 3; j++) {
			memcpy(copy + ((const char *)xclbin_find(&image, tables[i])->data - file), &counts[j], 4);
			refuse("another count", tables[i]);
		}
	*name = before;
	file[332] = (char)its_mode;
}

/* The argument of each connection of the unit for hidden states is changed in turn. */
static void ports_of_weights_are_those_with_a_memory(void **state)
{
	static const struct {
		int32_t argument;
		const char *said; /* NULL: all is well */
	} cases[] = {
		{3, "has 0 ports of weights, and 1 to 16"}, {5, "has 2 ports"}, {4 + 16, "has 17 ports"}, {4, NULL}};
	char why[VETO_WHY_MAX];
	struct image found;
	struct xclbin image;
	struct xclbin_connection c;
	uint32_t last = 0;

	(void)state;
	assert_int_equal(xclbin_read(copy, file_bytes, "image", &image, why), 0);
	while (xclbin_record(&image, XCLBIN_CONNECTIVITY, last, &c))
		last++;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const int32_t *record =
			(const int32_t *)((const char *)xclbin_find(&image, XCLBIN_CONNECTIVITY)->data + 4);
		int32_t argument = cases[i].argument;
		int err;

		/* The last is that of weights_0. */
		memcpy((char *)(uintptr_t)(record + 3 * (last - 1)), &argument, sizeof(argument));
		xclbin_uuid(&image, image.uuid);
		err = image_read(&image, "image", mode, &found, why);
		assert_int_equal(err, cases[i].said ? -EINVAL : 0);
		if (cases[i].said && !strstr(why, cases[i].said))
			fail_msg("argument %d: %s", argument, why);
	}
	assert_int_equal(found.units.ports, 1);
	assert_int_equal(found.port_bytes, (uint64_t)XCLBIN_EMULATION_GIB << 30);
	memcpy(copy, file, file_bytes);
}

static void an_image_of_another_platform_is_refused(void **state)
{
	char why[VETO_WHY_MAX];

	(void)state;
	memcpy(copy, file, file_bytes);
	memcpy(copy + 352, "xilinx_u250_gen3x16_xdma_4_1_202210_1", 38);
	assert_int_equal(judge(file_bytes, why), -EINVAL);
	assert_non_null(
		strstr(why, "for the platform xilinx_u250_gen3x16_xdma_4_1_202210_1, and emulation here is of veto:"));
}

static int start_sw(void **state)
{
	(void)state;
	read_image(VETO_IMAGES "/veto-sw-emu.xclbin", XCLBIN_SW_EMULATION);
	return 0;
}

static int start_hw(void **state)
{
	(void)state;
	read_image(VETO_IMAGES "/veto-hw-emu.xclbin", XCLBIN_HW_EMULATION);
	return 0;
}

static int end(void **state)
{
	(void)state;
	free(file);
	free(copy);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(damage_of_any_section_is_refused),
		cmocka_unit_test(an_image_of_another_platform_is_refused),
		cmocka_unit_test(ports_of_weights_are_those_with_a_memory),
		cmocka_unit_test(tables_are_checked_without_a_uuid),
	};
	int failed;

	close(mkstemp(path));
	failed = cmocka_run_group_tests(tests, start_sw, end) + cmocka_run_group_tests(tests, start_hw, end);
	unlink(path);
	return failed;
}
