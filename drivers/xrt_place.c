/* SPDX-License-Identifier: Apache-2.0 */
/* Makes and removes the folder that XRT's emulation runs in. */
#include "xrt_place.h"
#include "param.h"
#include "xclbin.h"
#include "xrt_folder.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

/* XRT puts its sockets into /tmp/$USER, so this is where the folder must lie. */
#define FOLDER "/tmp/veto-xrt.%ld.XXXXXX" /* of this process */
#define MODEL_FOLDER "vitis/data/emulation/unified/cpu_em/generic_pcie/model"

static const char emconfig[] =
	"{\"Version\":{\"FileVersion\":\"2.0\"},\"Platform\":{\"Boards\":[{\"Devices\":[{\"Name\":"
	"\"veto:emulation:1:0\",\"NumDevices\":\"1\",\"DdrBanks\":[{\"Size\":\"16GB\"}]}]}]}}\n";
static const char ini[] = "[Runtime]\nruntime_log=null\n[Emulation]\nprint_infos_in_console=false\nsystem_dpa=false\n";

/* What veto brings along. */
struct parts {
	char model[PLACE_PATH_MAX], guard[PLACE_PATH_MAX];
};

/* Beside this code, or where it is installed; false: nowhere. */
static bool find_part(const char *name, char path[PLACE_PATH_MAX])
{
	static const char *const beside[] = {"", "/../libexec/veto", "/../../libexec/veto"};
	const char *given = getenv("VETO_LIBEXEC");
	char folder[PLACE_PATH_MAX], *slash;
	Dl_info info;

	if (given) {
		snprintf(path, PLACE_PATH_MAX, "%s/%s", given, name);
		return access(path, R_OK) == 0;
	}
	if (!dladdr((const void *)emconfig, &info) || !info.dli_fname || !realpath(info.dli_fname, folder))
		return false;
	slash = strrchr(folder, '/');
	if (slash)
		*slash = 0;
	for (size_t i = 0; i < sizeof(beside) / sizeof(*beside); i++) {
		if (snprintf(path, PLACE_PATH_MAX, "%s%s/%s", folder, beside[i], name) < PLACE_PATH_MAX &&
			access(path, R_OK) == 0)
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

static int fill(const struct place *p, uint16_t mode, const char *model)
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
		err = make_link(p->folder, MODEL_FOLDER "/genericpciemodel", model);
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
	return err ? err : set_variable(p, "LD_PRELOAD", parts->guard);
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

static int find_parts(struct place *p, uint16_t mode, struct parts *parts, char *why)
{
	const char *image = mode == XCLBIN_SW_EMULATION ? "veto-sw-emu.xclbin" : "veto-hw-emu.xclbin";

	if (mode == XCLBIN_HARDWARE && !find_part("veto-xrt", p->child))
		return param_fail(-ENODEV, why, "xrt: veto-xrt is missing: VETO_LIBEXEC can say where it is");
	if (mode == XCLBIN_HARDWARE)
		return 0;
	if (!find_part("veto-xrt", p->child) || !find_part("veto-model", parts->model) ||
		!find_part("veto-xrt-guard.so", parts->guard) || !find_part(image, p->image))
		return param_fail(-ENODEV, why,
			"xrt: veto-xrt, veto-model, veto-xrt-guard.so or %s is missing: VETO_LIBEXEC can say where "
			"they are",
			image);
	if (mode == XCLBIN_HW_EMULATION && !is_in_path("unzip"))
		return param_fail(-ENODEV, why,
			"xrt: XRT unpacks images for hardware emulation with unzip, which is "
			"not in PATH");
	return 0;
}

int place_make(struct place *p, uint16_t mode, char *why)
{
	struct parts parts = {.model = ""};
	int err;

	*p = (struct place){.folder = ""};
	err = find_parts(p, mode, &parts, why);
	if (err)
		return err;
	snprintf(p->folder, sizeof(p->folder), FOLDER, (long)getpid());
	if (!mkdtemp(p->folder)) {
		*p->folder = 0;
		return param_fail(-errno, why, "xrt: can't make a folder in /tmp, where XRT has its sockets: %s",
			strerror(errno));
	}
	err = fill(p, mode, parts.model);
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
	if (*p->folder)
		folder_remove(p->folder);
	for (int i = 0; i < PLACE_VARIABLES; i++)
		free(p->variable[i]);
	free(p->environment);
	*p = (struct place){.folder = ""};
}
