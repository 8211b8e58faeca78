/* SPDX-License-Identifier: Apache-2.0 */
/* Archives are what unzip takes. */
#include "check.h"
#include "xrt_folder.h"
#include "zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct zip_file files[] = {
	{"a/b/run.sh", "#!/bin/sh\nexit 7\n", 17, true},
	{"a/empty", "", 0, false},
	{"data", "\0\1\2\377", 4, false},
};
#define FILES (sizeof(files) / sizeof(*files))

/* Run a program in a folder; its exit status, 127 if there is no such program. */
static int run(const char *folder, const char *const *argv)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (chdir(folder) == 0)
			execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void write_file(const char *path, const void *data, size_t bytes)
{
	FILE *out = fopen(path, "we");

	assert_non_null(out);
	assert_int_equal(fwrite(data, bytes, 1, out), 1);
	assert_int_equal(fclose(out), 0);
}

static void check_file(const char *folder, const struct zip_file *f)
{
	char path[128], data[64];
	struct stat info;
	FILE *in;

	snprintf(path, sizeof(path), "%s/%s", folder, f->path);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, f->is_program ? 0755 : 0644);
	in = fopen(path, "re");
	assert_non_null(in);
	assert_int_equal(fread(data, 1, sizeof(data), in), f->bytes);
	assert_memory_equal(data, f->data, f->bytes);
	fclose(in);
}

static void unzip_takes_it_apart(void **state)
{
	static const char *const unzip[] = {"unzip", "-q", "archive.zip", NULL}, *const program[] = {
											 "a/b/run.sh", NULL};
	char folder[] = "/tmp/veto_zip.XXXXXX", path[64];
	size_t bytes;
	void *archive = zip_make(files, FILES, &bytes);
	int status;

	(void)state;
	assert_non_null(archive);
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/archive.zip", folder);
	write_file(path, archive, bytes);
	free(archive);
	status = run(folder, unzip);
	if (status == 0) {
		for (size_t i = 0; i < FILES; i++)
			check_file(folder, &files[i]);
		assert_int_equal(run(folder, program), 7);
	}
	folder_remove(folder);
	if (status == 127)
		skip();
	assert_int_equal(status, 0);
}

static void the_same_files_give_the_same_archive(void **state)
{
	size_t bytes[2];
	void *archive[2] = {zip_make(files, FILES, &bytes[0]), zip_make(files, FILES, &bytes[1])};

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
