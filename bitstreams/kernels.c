/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the description of the kernels. */
#include "kernels.h"
#include "description.h"
#include "param.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FIRST_REGISTER 0x10u
#define BUFFER_REGISTER_BYTES 12u
#define SCALAR_REGISTER_BYTES 8u
#define FIRST_BASE 0x1800000u

/* The text of a key; false: there is none that fits. */
static bool read_text(const cJSON *object, const char *key, char *out, size_t bytes)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsString(item) && *item->valuestring && snprintf(out, bytes, "%s", item->valuestring) < (int)bytes;
}

static bool read_units(const cJSON *object, uint32_t *out)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, "emulated_units");

	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 1 && item->valuedouble <= KERNEL_UNITS_MAX))
		return false;
	*out = (uint32_t)item->valuedouble;
	return *out == item->valuedouble;
}

static void set_offsets(struct kernel *kernel)
{
	uint32_t offset = FIRST_REGISTER;

	for (uint32_t i = 0; i < kernel->arguments; i++) {
		kernel->argument[i].offset = offset;
		offset += kernel->argument[i].is_buffer ? BUFFER_REGISTER_BYTES : SCALAR_REGISTER_BYTES;
	}
}

void kernel_set_ports(struct kernel *kernel, uint32_t ports)
{
	struct kernel_argument *first = &kernel->argument[kernel->first_port];
	const struct kernel_argument port = *first;

	memmove(first + ports, first + kernel->ports,
		(kernel->arguments - kernel->first_port - kernel->ports) * sizeof(*first));
	for (uint32_t i = 0; i < ports; i++) {
		first[i] = port;
		snprintf(first[i].name, sizeof(first[i].name), "%.19s_%u", kernel->ports_name, i);
	}
	kernel->arguments += ports - kernel->ports;
	kernel->ports = ports;
	set_offsets(kernel);
}

/* How many ports an argument has; 0: it is an ordinary one, or -EINVAL. */
static int read_ports(const cJSON *object, const struct kernel *kernel, const struct kernel_argument *a, char *why)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, "emulated_ports");
	const int ports = cJSON_IsNumber(item) ? item->valueint : 0;

	if (!item)
		return 0;
	if (ports < 1 || ports > KERNEL_PORTS_MAX || ports != item->valuedouble || (ports & (ports - 1)) != 0)
		return param_fail(
			-EINVAL, why, "%s: \"emulated_ports\" of %s is not 1, 2, 4, 8 or 16", kernel->name, a->name);
	if (!a->is_buffer || kernel->ports > 0)
		return param_fail(
			-EINVAL, why, "%s: %s is no buffer, or not the only one of ports", kernel->name, a->name);
	return ports;
}

static int read_argument(const cJSON *object, struct kernel *kernel, uint32_t *all_ports, char *why)
{
	struct kernel_argument *a = &kernel->argument[kernel->arguments];
	int ports;

	if (kernel->arguments == KERNEL_DESCRIBED_MAX)
		return param_fail(-EINVAL, why, "%s: more than %d arguments", kernel->name, KERNEL_DESCRIBED_MAX);
	if (!read_text(object, "name", a->name, sizeof(a->name)))
		return param_fail(-EINVAL, why, "%s: argument %u has no name", kernel->name, kernel->arguments);
	a->is_buffer = read_text(object, "buffer", a->type, sizeof(a->type));
	if (!a->is_buffer && !read_text(object, "scalar", a->type, sizeof(a->type)))
		return param_fail(-EINVAL, why, "%s: %s is neither buffer nor scalar", kernel->name, a->name);
	ports = read_ports(object, kernel, a, why);
	if (ports < 0)
		return ports;
	if (ports > 0) {
		memcpy(kernel->ports_name, a->name, sizeof(a->name));
		kernel->first_port = kernel->arguments;
		kernel->ports = 1; /* so far */
		*all_ports = (uint32_t)ports;
	}
	kernel->arguments++;
	return 0;
}

static int read_kernel(const cJSON *object, struct kernels *out, char *why)
{
	struct kernel *kernel = &out->kernel[out->count];
	const struct kernel *before = out->count ? kernel - 1 : NULL;
	const cJSON *argument;
	uint32_t ports = 0;
	int err = 0;

	if (out->count == KERNELS_MAX)
		return param_fail(-EINVAL, why, "more than %d kernels", KERNELS_MAX);
	if (!read_text(object, "name", kernel->name, sizeof(kernel->name)) ||
		!read_text(object, "header", kernel->header, sizeof(kernel->header)))
		return param_fail(-EINVAL, why, "kernel %u has no name, or no header", out->count);
	if (!read_units(object, &kernel->units))
		return param_fail(-EINVAL, why, "%s: \"emulated_units\" is missing, or no whole number from 1 to %d",
			kernel->name, KERNEL_UNITS_MAX);
	kernel->base = before ? before->base + before->units * KERNEL_CONTROL_BYTES : FIRST_BASE;
	cJSON_ArrayForEach(argument, cJSON_GetObjectItemCaseSensitive(object, "arguments"))
	{
		err = read_argument(argument, kernel, &ports, why);
		if (err)
			return err;
	}
	set_offsets(kernel);
	if (ports > 0)
		kernel_set_ports(kernel, ports);
	out->count++;
	return 0;
}

static int read_kernels(const cJSON *root, void *arg, char *why)
{
	struct kernels *out = arg;
	const cJSON *kernel;
	int err = 0;

	cJSON_ArrayForEach(kernel, cJSON_GetObjectItemCaseSensitive(root, "kernels"))
	{
		err = read_kernel(kernel, out, why);
		if (err)
			return err;
	}
	return out->count > 0 ? 0 : param_fail(-EINVAL, why, "there is no kernel in it");
}

int kernels_read(const char *path, struct kernels *out, char *why)
{
	struct kernels kernels = {0};
	int err = description_read(path, read_kernels, &kernels, why);

	if (!err)
		*out = kernels;
	return err;
}
