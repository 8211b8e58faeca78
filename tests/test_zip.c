/* SPDX-License-Identifier: Apache-2.0 */
/* Archives are what unzip takes. */
#include "check.h"
#include "zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct zip_file files[] = {
	{"a/b/run.sh", "#!/bin/sh\necho \"$1\"\n", 20, true},
	{"a/empty", "", 0, false},
	{"data", "\0\1\2\377", 4, false},
};

/* What a shell prints, run in a folder that holds the archive. */
static void run(const char *script, char *text, size_t bytes)
{
	FILE *pipe = popen(script, "r");
	size_t used;

	assert_non_null(pipe);
	used = fread(text, 1, bytes - 1, pipe);
	text[used] = 0;
	assert_int_equal(pclose(pipe), 0);
}

static void unzip_takes_it_apart(void **state)
{
	char path[] = "/tmp/veto_zip.XXXXXX", script[256], text[256];
	size_t bytes;
	void *archive = zip_make(files, 3, &bytes);
	FILE *out;

	(void)state;
	if (system("command -v unzip >/dev/null") != 0) {
		print_message("skipped: there is no unzip\n");
		free(archive);
		skip();
	}
	assert_non_null(archive);
	close(mkstemp(path));
	out = fopen(path, "we");
	assert_int_equal(fwrite(archive, bytes, 1, out), 1);
	assert_int_equal(fclose(out), 0);
	free(archive);
	snprintf(script, sizeof(script),
		"unzip -q %s -d %s.d && cd %s.d && a/b/run.sh hello && stat -c %%a:%%s a/b/run.sh a/empty data && "
		"od -An -tx1 data; rm -r %s %s.d",
		path, path, path, path, path);
	run(script, text, sizeof(text));
	assert_string_equal(text, "hello\n755:20\n644:0\n644:4\n 00 01 02 ff\n");
}

static void the_same_files_give_the_same_archive(void **state)
{
	size_t bytes[2];
	void *archive[2] = {zip_make(files, 3, &bytes[0]), zip_make(files, 3, &bytes[1])};

	(void)state;
	assert_int_equal(bytes[0], bytes[1]);
	assert_memory_equal(archive[0], archive[1], bytes[0]);
	free(archive[0]);
	free(archive[1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(unzip_takes_it_apart),
		cmocka_unit_test(the_same_files_give_the_same_archive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
