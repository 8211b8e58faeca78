/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of emulated cards share. */
#include "cards.h"
#include "check.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

const char *const cards[CARDS] = {"xrt:emulation=sw,deadline=2", "xrt:emulation=hw,deadline=2"};

static const float row[3000] = {1, 2, 3};
const struct veto_rows card_row = {.rows = 1, .cols = 3000, .stride_bytes = sizeof(row), .data = row, .top_k = 3};

/* Folders of the process that is looked at, and part of the environment of those that run in them. */
static char name[40];

void cards_watch(pid_t pid) { snprintf(name, sizeof(name), "veto-xrt.%ld.", (long)pid); }

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

static size_t mapped(const char *environ_path)
{
	char path[64];
	size_t pages = 0;
	FILE *in;

	snprintf(path, sizeof(path), "%.*sstatm", (int)(strlen(environ_path) - strlen("environ")), environ_path);
	in = fopen(path, "re");
	if (in && fscanf(in, "%zu", &pages) != 1)
		pages = 0;
	if (in)
		fclose(in);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static int look(size_t *bytes)
{
	glob_t found;
	int count = 0;

	*bytes = 0;
	if (glob("/proc/[0-9]*/environ", 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			if (runs_in_its_folder(found.gl_pathv[i])) {
				count++;
				*bytes += mapped(found.gl_pathv[i]);
			}
	globfree(&found);
	return count;
}

int cards_count_processes(void) { return look(&(size_t){0}); }

size_t cards_memory(void)
{
	size_t bytes;

	look(&bytes);
	return bytes;
}

size_t cards_count_folders(void)
{
	char folders[64];
	glob_t found;
	size_t count;

	snprintf(folders, sizeof(folders), "/tmp/%s*", name);
	count = glob(folders, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
	globfree(&found);
	return count;
}

void cards_age_folders(void)
{
	static const struct timespec long_ago[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	char folders[64];
	glob_t found;

	snprintf(folders, sizeof(folders), "/tmp/%s*", name);
	if (glob(folders, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			utimensat(AT_FDCWD, found.gl_pathv[i], long_ago, 0);
	globfree(&found);
}

void assert_nothing_is_left(void)
{
	for (int i = 0; i < 100 && cards_count_processes() > 0; i++)
		usleep(20000);
	assert_int_equal(cards_count_processes(), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child, no zombie */
	assert_int_equal(cards_count_folders(), 0);
	assert_int_equal(access(".run", F_OK), -1); /* which XRT makes wherever it is */
}

int card_score(struct veto_device *dev, struct veto_record *record)
{
	struct veto_results out = {.record = record};

	return veto_device_score(dev, &card_row, &out);
}

struct hearing hear(void)
{
	struct hearing h = {memfd_create("heard", MFD_CLOEXEC), dup(STDERR_FILENO)};

	assert_int_equal(dup2(h.heard, STDERR_FILENO), STDERR_FILENO);
	return h;
}

void hear_end(struct hearing *h, char text[4096])
{
	ssize_t bytes = pread(h->heard, text, 4095, 0);

	assert_int_equal(dup2(h->before, STDERR_FILENO), STDERR_FILENO);
	close(h->before);
	close(h->heard);
	text[bytes > 0 ? bytes : 0] = 0;
}
