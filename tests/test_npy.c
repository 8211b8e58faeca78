/* SPDX-License-Identifier: Apache-2.0 */
/* The .npy reader and writer. */
#include "check.h"
#include "npy.h"
#include "veto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A file with this header text and so many bytes of data. */
static size_t make(char *file, const char *header, size_t data_bytes)
{
	size_t length = strlen(header);

	memcpy(file, "\x93NUMPY\x01\x00", 8);
	file[8] = (char)(length & 255);
	file[9] = (char)(length >> 8);
	memcpy(file + 10, header, length);
	memset(file + 10 + length, 0, data_bytes);
	return 10 + length + data_bytes;
}

static void what_numpy_writes_is_read(void **state)
{
	char file[512], why[VETO_WHY_MAX];
	size_t bytes = make(file, "{'descr': '<f2', 'fortran_order': False, 'shape': (3, 5), }          \n", 30);
	struct npy npy;

	(void)state;
	assert_int_equal(npy_parse(file, bytes, "x.npy", &npy, why), 0);
	assert_string_equal(npy.type, "f2");
	assert_int_equal(npy.rows, 3);
	assert_int_equal(npy.cols, 5);
	assert_ptr_equal(npy.data, file + bytes - 30);
}

static void what_is_written_is_read(void **state)
{
	char *file = NULL, why[VETO_WHY_MAX];
	size_t bytes;
	FILE *out = open_memstream(&file, &bytes);
	float row[7] = {1};
	struct npy npy;

	(void)state;
	assert_int_equal(npy_write_header(out, "f4", 1, 7, false), 0);
	fwrite(row, sizeof(row), 1, out);
	fclose(out);
	assert_int_equal(npy_parse(file, bytes, "x.npy", &npy, why), 0);
	assert_string_equal(npy.type, "f4");
	assert_int_equal(npy.rows, 1);
	assert_int_equal(npy.cols, 7);
	assert_int_equal((const char *)npy.data - file, NPY_HEADER_BYTES);
	free(file);
}

/* What lies behind the rows that the header counts is a torn one, but only where the header says that rows were to follow. */
static void a_file_whose_writer_was_killed_has_its_whole_rows(void **state)
{
	char why[VETO_WHY_MAX];
	float rows[14] = {1};

	(void)state;
	for (int is_growing = 0; is_growing < 2; is_growing++)
		for (size_t bytes = 0; bytes <= sizeof(rows); bytes++) {
			char file[NPY_HEADER_BYTES + sizeof(rows)];
			FILE *out = fmemopen(file, sizeof(file), "w");
			struct npy npy;

			assert_int_equal(npy_write_header(out, "f4", 1, 7, is_growing), 0);
			fwrite(rows, 1, bytes, out);
			fclose(out);
			assert_int_equal(npy_parse(file, NPY_HEADER_BYTES + bytes, "x.npy", &npy, why),
				bytes == 28 || (is_growing && bytes > 28) ? 0 : -EINVAL);
		}
}

static void what_is_wrong_is_quoted(void **state)
{
	static const struct {
		const char *header;
		size_t bytes;
		const char *why;
	} bad[] = {
		{"{'descr': '>f4', 'fortran_order': False, 'shape': (1, 2), }", 8, "byte order '>f4'"},
		{"{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2), }", 8, "Fortran order"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 8, "shape is (2,), not (rows, values)"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3), }", 24, "shape is (1, 2, 3), not"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (), }", 4, "shape is (), not"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }", 7,
			"1 x 2 values of 4 bytes do not fill"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }", 9, "do not fill the file's 9 bytes"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2), }", 8, "not"},
		{"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 1), }", 8, "not (rows"},
		{"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 2), }", 8, "no plain 'descr'"},
		{"{'fortran_order': False, 'shape': (1, 2), }", 8, "no plain 'descr'"},
		{"{'descr': '<f4', 'shape': (1, 2), }", 8, "Fortran order"},
		{"{'descr': '<f4', 'fortran_order': False}", 8, "no 'shape'"},
		{"", 0, "no plain 'descr'"},
	};
	char file[512], why[VETO_WHY_MAX];
	struct npy npy;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		size_t bytes = make(file, bad[i].header, bad[i].bytes);

		assert_int_equal(npy_parse(file, bytes < 12 ? 12 : bytes, "x.npy", &npy, why), -EINVAL);
		if (!strstr(why, bad[i].why))
			fail_msg("%s: '%s' lacks '%s'", bad[i].header, why, bad[i].why);
	}
	assert_int_equal(npy_parse("not a npy file", 14, "x.npy", &npy, why), -EINVAL);
	assert_string_equal(why, "x.npy: not an .npy file");
	assert_int_equal(npy_parse("\x93NUMPY\x01\x00\xff\xff  ", 12, "x.npy", &npy, why), -EINVAL);
	assert_int_equal(npy_parse("\x93NUMPY\x09\x00\x01\x00  ", 12, "x.npy", &npy, why), -EINVAL);
	assert_int_equal(npy_parse("\x93NUM", 4, "x.npy", &npy, why), -EINVAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_numpy_writes_is_read),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(a_file_whose_writer_was_killed_has_its_whole_rows),
		cmocka_unit_test(what_is_wrong_is_quoted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
