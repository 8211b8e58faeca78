/* SPDX-License-Identifier: Apache-2.0 */
/* Makes and removes the folder that XRT's emulation runs in. */
#include "xrt_place.h"
#include "param.h"
#include "xclbin.h"
#include "xrt_folder.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* XRT puts its sockets into /tmp/$USER, so this is where the folder must lie. */
#define FOLDER "/tmp/veto-xrt.%ld.XXXXXX" /* of this process */
#define NEW_S 60 /* a folder may not be held yet */
#define ROOM_BYTES (64ull << 20) /* that XRT's files and sockets may take, and some to spare */
#define MODEL_FOLDER "vitis/data/emulation/unified/cpu_em/generic_pcie/model"

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
static const char emconfig[] =
	"{\"Version\":{\"FileVersion\":\"2.0\"},\"Platform\":{\"Boards\":[{\"Devices\":[{\"Name\":"
	"\"" XCLBIN_EMULATION_PLATFORM
	"\",\"NumDevices\":\"1\",\"DdrBanks\":[{\"Size\":\"" TEXT(XCLBIN_EMULATION_GIB) "GB\"}]}]}]}}\n";
#define GUARD "/guard.so" /* by a path without blanks and colons, which part the entries of LD_PRELOAD */
static const char ini[] = "[Runtime]\nruntime_log=null\n[Emulation]\nprint_infos_in_console=false\nsystem_dpa=false\n";

/* What veto brings along. */
struct parts {
	char model[PLACE_PATH_MAX], guard[PLACE_PATH_MAX];
};

/* Beside this code, or where it is installed; false: nowhere.  how: as for access(). */
static bool find_part(const char *name, int how, char path[PLACE_PATH_MAX])
{
	static const char *const beside[] = {"", "/../libexec/veto", "/../../libexec/veto"};
	const char *given = getenv("VETO_LIBEXEC");
	char folder[PLACE_PATH_MAX], *slash;
	Dl_info info;

	if (given) {
		return snprintf(path, PLACE_PATH_MAX, "%s/%s", given, name) < PLACE_PATH_MAX && access(path, how) == 0;
	}
	if (!dladdr((const void *)emconfig, &info) || !info.dli_fname || !realpath(info.dli_fname, folder))
		return false;
	slash = strrchr(folder, '/');
	if (slash)
		*slash = 0;
	for (size_t i = 0; i < sizeof(beside) / sizeof(*beside); i++) {
		if (snprintf(path, PLACE_PATH_MAX, "%s%s/%s", folder, beside[i], name) < PLACE_PATH_MAX &&
			access(path, how) == 0)
			return true;
	}
	return false;
}

static bool is_in_path(const char *program)
{
	const char *folders = getenv("PATH"), *end;
	char path[PLACE_PATH_MAX];

	for (; folders; folders = *end ? end + 1 : NULL) {
		end = folders + strcspn(folders, ":");
		if (snprintf(path, sizeof(path), "%.*s/%s", (int)(end - folders), folders, program) <
				(int)sizeof(path) &&
			access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static int make_folders(const char *folder, const char *path)
{
	char whole[PLACE_PATH_MAX];

	snprintf(whole, sizeof(whole), "%s/%s/", folder, path);
	for (char *slash = whole + strlen(folder) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		if (mkdir(whole, 0700) && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

static int make_file(const char *folder, const char *name, const char *text)
{
	char path[PLACE_PATH_MAX];
	FILE *out;
	int err = 0;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	out = fopen(path, "we");
	if (!out)
		return -errno;
	if (fputs(text, out) < 0)
		err = -EIO;
	if (fclose(out))
		err = -EIO;
	return err;
}

static int make_link(const char *folder, const char *name, const char *target)
{
	char path[PLACE_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return symlink(target, path) ? -errno : 0;
}

/* Put a copy of the program there, which XRT writes a log beside; its path becomes the copy's. */
static int copy_program(const char *folder, char path[PLACE_PATH_MAX])
{
	const int from = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t bytes = 1;
	int to, err = 0;

	snprintf(path, PLACE_PATH_MAX, "%s/veto-xrt", folder);
	to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	while (from >= 0 && to >= 0 && bytes > 0)
		bytes = sendfile(to, from, NULL, 1 << 20);
	if (from < 0 || to < 0 || bytes < 0)
		err = -errno;
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return err;
}

static int fill(struct place *p, uint16_t mode, const struct parts *parts)
{
	static const char *const libraries[] = {"libxrt_core.so.2", "libxrt_swemu.so.2", "libxrt_hwemu.so.2"};
	int err = make_folders(p->folder, "xrt/lib");

	for (int i = 0; i < 3 && !err; i++) {
		char target[PLACE_PATH_MAX], name[64];

		snprintf(target, sizeof(target), "%s/%s", VETO_XRT_LIBRARIES, libraries[i]);
		snprintf(name, sizeof(name), "xrt/lib/%s", libraries[i]);
		err = make_link(p->folder, name, target);
	}
	if (err || mode == XCLBIN_HARDWARE)
		return err;
	err = make_folders(p->folder, MODEL_FOLDER);
	if (!err)
		err = copy_program(p->folder, p->child);
	if (!err)
		err = make_link(p->folder, MODEL_FOLDER "/genericpciemodel", parts->model);
	if (!err)
		err = make_link(p->folder, GUARD, parts->guard);
	if (!err)
		err = make_file(p->folder, "emconfig.json", emconfig);
	return err ? err : make_file(p->folder, "xrt.ini", ini);
}

static int set_variable(struct place *p, const char *name, const char *value)
{
	for (int i = 0; i < PLACE_VARIABLES; i++)
		if (!p->variable[i])
			return asprintf(&p->variable[i], "%s=%s", name, value) < 0 ? -ENOMEM : 0;
	return -ENOMEM;
}

static int set_path(struct place *p, const char *name, const char *part)
{
	char path[PLACE_PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", p->folder, part);
	return set_variable(p, name, path);
}

static bool is_set(const struct place *p, const char *entry)
{
	size_t name = strcspn(entry, "=") + 1;

	for (int i = 0; p->variable[i]; i++)
		if (strncmp(p->variable[i], entry, name) == 0)
			return true;
	return false;
}

static int set_variables(struct place *p, uint16_t mode, const struct parts *parts)
{
	static const char *const paths[][2] = {{"XILINX_VITIS", "/vitis"}, {"EMCONFIG_PATH", ""},
		{"XRT_INI_PATH", "/xrt.ini"}, {"SDACCEL_EM_RUN_DIR", "/run"}};
	int err = 0;

	/* Debian's XRT has no folder of its own, and looks into one.  A card may be that of another XRT. */
	if (mode != XCLBIN_HARDWARE || !getenv("XILINX_XRT"))
		err = set_path(p, "XILINX_XRT", "/xrt");
	if (err || mode == XCLBIN_HARDWARE)
		return err;
	err = set_variable(p, "XCL_EMULATION_MODE", mode == XCLBIN_SW_EMULATION ? "sw_emu" : "hw_emu");

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths) && !err; i++)
		err = set_path(p, paths[i][0], paths[i][1]);
	if (!err)
		err = set_variable(p, "USER", strrchr(p->folder, '/') + 1);
	if (!err)
		err = set_variable(p, "VETO_MODEL", parts->model); /* for hardware emulation's simulate.sh */
	return err ? err : set_path(p, "LD_PRELOAD", GUARD);
}

/* This process's variables, less the one that a card must not see, and those that are set, which come first. */
static int make_environment(struct place *p)
{
	static const char emulation[] = "XCL_EMULATION_MODE=";
	size_t count = 0, used = 0;

	while (environ[count])
		count++;
	p->environment = calloc(count + PLACE_VARIABLES + 1, sizeof(*p->environment));
	if (!p->environment)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (!is_set(p, environ[i]) && strncmp(environ[i], emulation, sizeof(emulation) - 1) != 0)
			p->environment[used++] = environ[i];
	for (int i = 0; p->variable[i]; i++)
		p->environment[used++] = p->variable[i];
	return 0;
}

/* A part that must be there. */
static int need_part(const char *name, int how, char path[PLACE_PATH_MAX], char *why)
{
	return find_part(name, how, path)
		       ? 0
		       : param_fail(-ENODEV, why, "xrt: %s is missing%s: VETO_LIBEXEC can say where it is", name,
				 how == X_OK ? ", or no program" : "");
}

static int find_parts(struct place *p, uint16_t mode, struct parts *parts, char *why)
{
	int err = need_part("veto-xrt", X_OK, p->child, why);

	if (err || mode == XCLBIN_HARDWARE)
		return err;
	err = need_part("veto-model", X_OK, parts->model, why);
	if (!err)
		err = need_part("veto-xrt-guard.so", R_OK, parts->guard, why);
	if (!err)
		err = need_part(
			mode == XCLBIN_SW_EMULATION ? "veto-sw-emu.xclbin" : "veto-hw-emu.xclbin", R_OK, p->image, why);
	if (!err && mode == XCLBIN_HW_EMULATION && !is_in_path("unzip"))
		return param_fail(-ENODEV, why,
			"xrt: XRT unpacks images for hardware emulation with unzip, which is not in PATH");
	return err;
}

/* Programs run from the folder, and none says why it can't. */
static int check_folder(const char *folder, char *why)
{
	struct statvfs status;

	if (statvfs(folder, &status))
		return param_fail(-errno, why, "xrt: %s: %s", folder, strerror(errno));
	if (status.f_flag & ST_NOEXEC)
		return param_fail(-EACCES, why, "xrt: no program can run from /tmp, which is mounted noexec");
	if ((uint64_t)status.f_bavail * status.f_frsize < ROOM_BYTES)
		return param_fail(-ENOSPC, why, "xrt: /tmp has %llu MiB left, and emulation needs %llu",
			(unsigned long long)status.f_bavail * status.f_frsize >> 20, ROOM_BYTES >> 20);
	return 0;
}

int place_use_image(struct place *p, const char *path, char *why)
{
	char *whole = realpath(path, NULL);
	int err;

	if (!whole)
		return param_fail(-errno, why, "xrt: can't find '%s': %s", path, strerror(errno));
	err = make_link(p->folder, "image.xclbin", whole);
	free(whole);
	snprintf(p->image, sizeof(p->image), "%s/image.xclbin", p->folder);
	return err ? param_fail(err, why, "xrt: can't fill %s: %s", p->folder, strerror(-err)) : 0;
}

/* Remove the folders of programs that were killed before they had a child to do it: nobody holds them. */
static void sweep(void)
{
	glob_t found = {0};
	struct stat status;

	glob("/tmp/veto-xrt.*.*", GLOB_NOSORT, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const int folder = open(found.gl_pathv[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (folder >= 0 && fstat(folder, &status) == 0 && status.st_uid == geteuid() &&
			time(NULL) - status.st_mtime > NEW_S && flock(folder, LOCK_EX | LOCK_NB) == 0)
			folder_remove(found.gl_pathv[i]);
		if (folder >= 0)
			close(folder);
	}
	globfree(&found);
}

int place_make(struct place *p, uint16_t mode, char *why)
{
	struct parts parts = {.model = ""};
	int err;

	*p = (struct place){.folder = "", .lock = -1};
	err = find_parts(p, mode, &parts, why);
	if (err)
		return err;
	sweep();
	snprintf(p->folder, sizeof(p->folder), FOLDER, (long)getpid());
	if (!mkdtemp(p->folder)) {
		*p->folder = 0;
		return param_fail(-errno, why, "xrt: can't make a folder in /tmp, where XRT has its sockets: %s",
			strerror(errno));
	}
	p->lock = open(p->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->lock >= 0)
		flock(p->lock, LOCK_SH);
	err = mode == XCLBIN_HARDWARE ? 0 : check_folder(p->folder, why);
	if (err) {
		place_remove(p);
		return err;
	}
	err = fill(p, mode, &parts);
	if (!err)
		err = set_variables(p, mode, &parts);
	if (!err)
		err = make_environment(p);
	if (err) {
		param_say(why, "xrt: can't fill %s: %s", p->folder, strerror(-err));
		place_remove(p);
	}
	return err;
}

void place_remove(struct place *p)
{
	if (*p->folder) {
		folder_remove(p->folder);
		if (p->lock >= 0)
			close(p->lock);
	}
	for (int i = 0; i < PLACE_VARIABLES; i++)
		free(p->variable[i]);
	free(p->environment);
	*p = (struct place){.folder = ""};
}
