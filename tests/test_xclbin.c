/* SPDX-License-Identifier: Apache-2.0 */
/* Images: what is written is read back, as XRT lays it out, and what is damaged is refused. */
#include "check.h"
#include "kernels.h"
#include "param.h"
#include "veto_hw.h"
#include "veto_kernels.h"
#include "xclbin.h"

#include <xrt/xclbin.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/veto_xclbin.XXXXXX";
static unsigned char file[8192];
static size_t file_bytes;

static void write_image(const char *code)
{
	const struct xclbin image = {
		.mode = XCLBIN_SW_EMULATION,
		.platform = "veto:emulation:1:0",
		.sections = 2,
		.section = {{XCLBIN_BITSTREAM, code, strlen(code)}, {XCLBIN_EMBEDDED_METADATA, "<xml/>", 6}},
	};
	char why[VETO_WHY_MAX];
	FILE *in;

	if (xclbin_write(path, &image, why))
		fail_msg("%s", why);
	in = fopen(path, "re");
	assert_non_null(in);
	file_bytes = fread(file, 1, sizeof(file), in);
	fclose(in);
}

static void what_is_written_is_read_back(void **state)
{
	struct xclbin image;
	char why[VETO_WHY_MAX];

	(void)state;
	write_image("code");
	if (xclbin_read(file, file_bytes, "image", &image, why))
		fail_msg("%s", why);
	assert_int_equal(image.mode, XCLBIN_SW_EMULATION);
	assert_string_equal(image.platform, "veto:emulation:1:0");
	assert_int_equal(image.sections, 2);
	assert_int_equal(xclbin_find(&image, XCLBIN_EMBEDDED_METADATA)->bytes, 6);
	assert_memory_equal(xclbin_find(&image, XCLBIN_EMBEDDED_METADATA)->data, "<xml/>", 6);
	assert_null(xclbin_find(&image, XCLBIN_IP_LAYOUT));
}

static void xrt_sees_the_same(void **state)
{
	const struct axlf *axlf = (const struct axlf *)file;
	struct axlf_section_header section;
	struct xclbin image;

	(void)state;
	write_image("code");
	assert_int_equal(xclbin_read(file, file_bytes, "image", &image, NULL), 0);
	assert_int_equal(axlf->m_header.m_length, file_bytes);
	assert_int_equal(axlf->m_header.m_mode, XCLBIN_SW_EMU);
	assert_int_equal(axlf->m_header.m_numSections, 2);
	assert_memory_equal(axlf->m_header.uuid, image.uuid, 16);
	memcpy(&section, &axlf->m_sections[1], sizeof(section));
	assert_int_equal(section.m_sectionKind, EMBEDDED_METADATA);
	assert_int_equal(section.m_sectionSize, 6);
	assert_memory_equal(file + section.m_sectionOffset, "<xml/>", 6);
	assert_int_equal(sizeof(struct mem_data), sizeof(struct xclbin_memory));
	assert_int_equal(sizeof(struct ip_data), sizeof(struct xclbin_ip));
	assert_int_equal(sizeof(struct connection), sizeof(struct xclbin_connection));
}

static void the_same_content_gives_the_same_file(void **state)
{
	unsigned char first[sizeof(file)];
	struct xclbin image, other;

	(void)state;
	write_image("code");
	memcpy(first, file, file_bytes);
	assert_int_equal(xclbin_read(first, file_bytes, "image", &image, NULL), 0);
	write_image("code");
	assert_memory_equal(first, file, file_bytes);
	write_image("cade");
	assert_int_equal(xclbin_read(file, file_bytes, "image", &other, NULL), 0);
	assert_memory_not_equal(image.uuid, other.uuid, 16);
}

static void damage_is_refused(void **state)
{
	/* The header's length and count of sections; offset and size of the second section. */
	static const size_t numbers[] = {304, 448, 456 + 40 + 24, 456 + 40 + 32};
	struct xclbin image;
	char why[VETO_WHY_MAX];

	(void)state;
	write_image("code");
	for (size_t bytes = 0; bytes < file_bytes; bytes++) {
		unsigned char *cut = malloc(bytes ? bytes : 1);

		assert_non_null(cut);
		memcpy(cut, file, bytes);
		assert_int_equal(xclbin_read(cut, bytes, "image", &image, why), -EINVAL);
		free(cut);
	}
	for (size_t i = 0; i < 4; i++) {
		unsigned char before = file[numbers[i] + 3];

		file[numbers[i] + 3] = 0xee;
		assert_int_equal(xclbin_read(file, file_bytes, "image", &image, why), -EINVAL);
		file[numbers[i] + 3] = before;
	}
	file[3] = 'X';
	assert_int_equal(xclbin_read(file, file_bytes, "image", &image, why), -EINVAL);
	assert_non_null(strstr(why, "image: no xclbin"));
}

/* --- The description that images are made from --- */

static int read_description(const char *json, struct kernels *out, char *why)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(json, f);
	fclose(f);
	return kernels_read(path, out, why);
}

static void registers_lie_where_vitis_puts_them(void **state)
{
	struct kernels k;
	char why[VETO_WHY_MAX];

	(void)state;
	if (kernels_read(VETO_TESTS_DIR "/../hls/kernels.json", &k, why))
		fail_msg("%s", why);
	assert_string_equal(k.kernel[0].name, "veto_score_logits");
	assert_int_equal(k.kernel[0].arguments, 4);
	/* Four bytes of 64-bit pointers' registers are reserved, as are four of each scalar's. */
	assert_int_equal(VETO_SCORE_LOGITS_ROWS_REGISTER, 0x10);
	assert_int_equal(VETO_SCORE_LOGITS_JOBS_REGISTER, 0x1c);
	assert_int_equal(VETO_SCORE_LOGITS_RESULTS_REGISTER, 0x28);
	assert_int_equal(VETO_SCORE_LOGITS_COUNT_REGISTER, 0x34);
	assert_int_equal(k.kernel[0].argument[VETO_SCORE_LOGITS_COUNT].offset, VETO_SCORE_LOGITS_COUNT_REGISTER);
	assert_false(k.kernel[0].argument[VETO_SCORE_LOGITS_COUNT].is_buffer);
}

static void ports_are_as_many_as_are_asked_for(void **state)
{
	struct kernels k;
	struct kernel *hidden = &k.kernel[1];

	(void)state;
	assert_int_equal(kernels_read(VETO_TESTS_DIR "/../hls/kernels.json", &k, NULL), 0);
	assert_int_equal(hidden->ports, 1);
	for (uint32_t ports = 16; ports > 0; ports /= 2) {
		const struct kernel_argument *port = &hidden->argument[VETO_SCORE_HIDDEN_WEIGHTS_0];
		char name[32];

		kernel_set_ports(hidden, ports);
		assert_int_equal(hidden->arguments, 5 + ports);
		for (uint32_t p = 0; p < ports; p++) {
			snprintf(name, sizeof(name), "weights_%u", p);
			assert_string_equal(port[p].name, name);
			assert_true(port[p].is_buffer);
			assert_int_equal(port[p].offset, VETO_SCORE_HIDDEN_WEIGHTS_0_REGISTER + 12 * p);
		}
		assert_string_equal(port[ports].name, "count");
		assert_int_equal(port[ports].offset, VETO_SCORE_HIDDEN_WEIGHTS_0_REGISTER + 12 * ports);
	}
	assert_int_equal(hidden->argument[VETO_SCORE_HIDDEN_COUNT].offset, VETO_SCORE_HIDDEN_COUNT_REGISTER);
}

static void a_description_with_gaps_is_refused(void **state)
{
	static const char *const bad[][2] = {
		{"{", "no JSON"},
		{"{\"kernels\": []}", "there is no kernel in it"},
		{"{\"kernels\": [{\"name\": \"a\"}]}", "kernel 0 has no name, or no header"},
		{"{\"kernels\": [{\"name\": \"a\", \"header\": \"h\"}]}",
			"a: \"emulated_units\" is missing, or no whole number from 1 to 4"},
		{"{\"kernels\": [{\"name\": \"a\", \"header\": \"h\", \"emulated_units\": 5}]}",
			"a: \"emulated_units\""},
		{"{\"kernels\": [{\"name\": \"a\", \"header\": \"h\", \"emulated_units\": 1, \"arguments\": [{}]}]}",
			"a: argument 0 has no name"},
		{"{\"kernels\": [{\"name\": \"a\", \"header\": \"h\", \"emulated_units\": 1, \"arguments\": [{\"name\": \"x\"}]}]}",
			"a: x is neither buffer nor scalar"},
		{"{\"kernels\": [{\"name\": \"a\", \"header\": \"h\", \"emulated_units\": 1, \"arguments\": [{\"name\": \"x\", "
		 "\"buffer\": \"t\", \"emulated_ports\": 3}]}]}",
			"a: \"emulated_ports\" of x is not 1, 2, 4, 8 or 16"},
		{"{\"kernels\": [{\"name\": \"a\", \"header\": \"h\", \"emulated_units\": 1, \"arguments\": [{\"name\": \"x\", "
		 "\"scalar\": \"t\", \"emulated_ports\": 4}]}]}",
			"a: x is no buffer, or not the only one of ports"},
	};
	struct kernels k;
	char why[VETO_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(read_description(bad[i][0], &k, why), -EINVAL);
		if (!strstr(why, bad[i][1]))
			fail_msg("%s: '%s' lacks '%s'", bad[i][0], why, bad[i][1]);
	}
}

static int make_path(void **state)
{
	(void)state;
	return mkstemp(path) < 0;
}

static int remove_path(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(xrt_sees_the_same),
		cmocka_unit_test(the_same_content_gives_the_same_file),
		cmocka_unit_test(damage_is_refused),
		cmocka_unit_test(registers_lie_where_vitis_puts_them),
		cmocka_unit_test(ports_are_as_many_as_are_asked_for),
		cmocka_unit_test(a_description_with_gaps_is_refused),
	};

	return cmocka_run_group_tests(tests, make_path, remove_path);
}
