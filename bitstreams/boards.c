/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and checks the configuration of a board. */
#include "boards.h"
#include "description.h"
#include "param.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int read_text(const cJSON *object, const char *key, char *out, size_t bytes, char *why)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	if (!cJSON_IsString(item) || !*item->valuestring || strlen(item->valuestring) >= bytes)
		return param_fail(-EINVAL, why, "\"%s\" is missing, or no text of 1 to %zu characters", key, bytes - 1);
	snprintf(out, bytes, "%s", item->valuestring);
	return 0;
}

static int read_number(const cJSON *object, const char *key, uint32_t low, uint32_t high, uint32_t *out, char *why)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	if (!cJSON_IsNumber(item) || item->valuedouble < low || item->valuedouble > high ||
		item->valuedouble != (uint32_t)item->valuedouble)
		return param_fail(-EINVAL, why, "\"%s\" is missing, or no whole number from %u to %u", key, low, high);
	*out = (uint32_t)item->valuedouble;
	return 0;
}

static int read_memory(const cJSON *object, struct board *board, char *why)
{
	struct board_memory *m = &board->memory[board->memories];
	int err;

	if (board->memories == BOARD_MEMORIES_MAX)
		return param_fail(-EINVAL, why, "more than %d memories", BOARD_MEMORIES_MAX);
	err = read_text(object, "name", m->name, sizeof(m->name), why);
	if (!err)
		err = read_number(object, "banks", 1, 64, &m->banks, why);
	if (!err)
		err = read_number(object, "mib_a_bank", 1, 1 << 20, &m->mib_a_bank, why);
	board->memories += !err;
	return err;
}

static int check_memory(const cJSON *root, const struct board *board, char *why)
{
	uint32_t gib;
	uint64_t mib = 0;
	int err = read_number(root, "memory_gib", 1, 1024, &gib, why);

	for (uint32_t i = 0; i < board->memories; i++)
		mib += (uint64_t)board->memory[i].banks * board->memory[i].mib_a_bank;
	if (!err && mib != (uint64_t)gib << 10)
		return param_fail(-EINVAL, why, "its memories have %llu MiB, and \"memory_gib\" is %u",
			(unsigned long long)mib, gib);
	return err;
}

/* NAME[BANK] or NAME[FIRST:LAST], of banks that the board has. */
static int check_banks(const struct board *board, const char *text, char *why)
{
	char name[16] = "";
	uint32_t first, last;
	int end = 0;

	if (sscanf(text, "%15[A-Z][%u:%u]%n", name, &first, &last, &end) != 3 || end == 0) {
		if (sscanf(text, "%15[A-Z][%u]%n", name, &first, &end) != 2 || end == 0)
			end = -1;
		last = first;
	}
	if (end != (int)strlen(text))
		return param_fail(-EINVAL, why, "'%s' is not NAME[BANK] or NAME[FIRST:LAST]", text);
	for (uint32_t i = 0; i < board->memories; i++)
		if (strcmp(board->memory[i].name, name) == 0) {
			if (first <= last && last < board->memory[i].banks)
				return 0;
			return param_fail(
				-EINVAL, why, "'%s': %s has banks 0 to %u", text, name, board->memory[i].banks - 1);
		}
	return param_fail(-EINVAL, why, "'%s': the board has no memory %s", text, name);
}

static int read_bank(const cJSON *item, const char *name, const struct board *board, char out[32], char *why)
{
	if (!cJSON_IsString(item) || strlen(item->valuestring) > 31)
		return param_fail(-EINVAL, why, "\"%s\" is missing, or not NAME[BANK] or NAME[FIRST:LAST]", name);
	snprintf(out, 32, "%s", item->valuestring);
	return check_banks(board, out, why);
}

/* The kernel has as many ports as the unit's list of banks is long. */
static int read_ports(const cJSON *list, struct board *board, const struct board_unit *unit, char *why)
{
	struct kernel *kernel = &board->kernels.kernel[unit->kernel];
	const uint32_t ports = cJSON_IsArray(list) ? (uint32_t)cJSON_GetArraySize(list) : 0;

	if (ports < 1 || ports > KERNEL_PORTS_MAX || (ports & (ports - 1)) != 0)
		return param_fail(-EINVAL, why, "%s: \"%s\" is not a list of 1, 2, 4, 8 or 16 memories", unit->name,
			kernel->ports_name);
	for (uint32_t i = 0; i < board->units; i++)
		if (board->unit[i].kernel == unit->kernel && ports != kernel->ports)
			return param_fail(-EINVAL, why, "%s has %u ports of %s, and %s has %u", unit->name, ports,
				kernel->ports_name, board->unit[i].name, kernel->ports);
	kernel_set_ports(kernel, ports);
	return 0;
}

static int read_banks(const cJSON *banks, struct board *board, struct board_unit *unit, char *why)
{
	const struct kernel *kernel = &board->kernels.kernel[unit->kernel];
	const cJSON *ports = NULL;
	int buffers = 0, err = 0;

	if (kernel->ports > 0) {
		ports = cJSON_GetObjectItemCaseSensitive(banks, kernel->ports_name);
		err = read_ports(ports, board, unit, why);
		buffers = 1 - (int)kernel->ports;
	}
	for (uint32_t i = 0; i < kernel->arguments && !err; i++) {
		const struct kernel_argument *a = &kernel->argument[i];
		const bool is_port = kernel->ports > 0 && i - kernel->first_port < kernel->ports;

		buffers += a->is_buffer;
		if (a->is_buffer)
			err = read_bank(is_port ? cJSON_GetArrayItem(ports, (int)(i - kernel->first_port))
						: cJSON_GetObjectItemCaseSensitive(banks, a->name),
				a->name, board, unit->memory[i], why);
	}
	if (!err && cJSON_GetArraySize(banks) != buffers)
		return param_fail(-EINVAL, why, "%s: \"memory\" names %d arguments, and %s has %d buffers", unit->name,
			cJSON_GetArraySize(banks), kernel->name, buffers);
	return err;
}

static int read_unit(const cJSON *object, struct board *board, char *why)
{
	struct board_unit *unit = &board->unit[board->units];
	char kernel[64], wanted[80];
	uint32_t number = 1;
	int err;

	if (board->units == BOARD_UNITS_MAX)
		return param_fail(-EINVAL, why, "more than %d units", BOARD_UNITS_MAX);
	err = read_text(object, "name", unit->name, sizeof(unit->name), why);
	if (!err)
		err = read_text(object, "kernel", kernel, sizeof(kernel), why);
	if (err)
		return err;
	while (unit->kernel < board->kernels.count && strcmp(board->kernels.kernel[unit->kernel].name, kernel) != 0)
		unit->kernel++;
	if (unit->kernel == board->kernels.count)
		return param_fail(-EINVAL, why, "%s: there is no kernel %s", unit->name, kernel);
	for (uint32_t i = 0; i < board->units; i++)
		number += board->unit[i].kernel == unit->kernel;
	snprintf(wanted, sizeof(wanted), "%s_%u", kernel, number);
	if (strcmp(wanted, unit->name) != 0)
		return param_fail(-EINVAL, why, "unit %u is named %s, and not %s", board->units, unit->name, wanted);
	err = read_banks(cJSON_GetObjectItemCaseSensitive(object, "memory"), board, unit, why);
	board->units += !err;
	return err;
}

static int read_resources(const cJSON *object, struct board_resources *out, char *why)
{
	int err = read_number(object, "lut", 1000, 10000000, &out->lut, why);

	if (!err)
		err = read_number(object, "ff", 1000, 10000000, &out->ff, why);
	if (!err)
		err = read_number(object, "bram36", 1, 100000, &out->bram36, why);
	if (!err)
		err = read_number(object, "uram", 0, 100000, &out->uram, why);
	return err ? err : read_number(object, "dsp", 1, 100000, &out->dsp, why);
}

static int read_board(const cJSON *root, void *arg, char *why)
{
	struct board *board = arg;
	const cJSON *item;
	int err = read_text(root, "board", board->name, sizeof(board->name), why);

	if (!err)
		err = read_text(root, "platform", board->platform, sizeof(board->platform), why);
	if (!err)
		err = read_text(root, "part", board->part, sizeof(board->part), why);
	if (!err)
		err = read_text(root, "link", board->link, sizeof(board->link), why);
	if (!err)
		err = read_text(root, "status", board->status, sizeof(board->status), why);
	if (!err)
		err = read_number(root, "clock_mhz", 50, 600, &board->clock_mhz, why);
	if (!err)
		err = read_resources(cJSON_GetObjectItemCaseSensitive(root, "resources"), &board->resources, why);
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "memory")) err =
		err ? err : read_memory(item, board, why);
	if (!err)
		err = check_memory(root, board, why);
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "units")) err =
		err ? err : read_unit(item, board, why);
	if (!err && board->units == 0)
		err = param_fail(-EINVAL, why, "there are no units");
	return err;
}

int board_read(const char *path, const struct kernels *kernels, struct board *out, char *why)
{
	struct board board = {.kernels = *kernels};
	int err = description_read(path, read_board, &board, why);

	if (!err)
		*out = board;
	return err;
}
