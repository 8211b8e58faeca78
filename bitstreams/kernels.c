/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the description of the kernels. */
#include "kernels.h"
#include "description.h"
#include "param.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>

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

static int read_argument(const cJSON *object, struct kernel *kernel, uint32_t *offset, char *why)
{
	struct kernel_argument *a = &kernel->argument[kernel->arguments];

	if (kernel->arguments == KERNEL_ARGUMENTS_MAX)
		return param_fail(-EINVAL, why, "%s: more than %d arguments", kernel->name, KERNEL_ARGUMENTS_MAX);
	if (!read_text(object, "name", a->name, sizeof(a->name)))
		return param_fail(-EINVAL, why, "%s: argument %u has no name", kernel->name, kernel->arguments);
	a->is_buffer = read_text(object, "buffer", a->type, sizeof(a->type));
	if (!a->is_buffer && !read_text(object, "scalar", a->type, sizeof(a->type)))
		return param_fail(-EINVAL, why, "%s: %s is neither buffer nor scalar", kernel->name, a->name);
	a->offset = *offset;
	*offset += a->is_buffer ? BUFFER_REGISTER_BYTES : SCALAR_REGISTER_BYTES;
	kernel->arguments++;
	return 0;
}

static int read_kernel(const cJSON *object, struct kernels *out, char *why)
{
	struct kernel *kernel = &out->kernel[out->count];
	const struct kernel *before = out->count ? kernel - 1 : NULL;
	uint32_t offset = FIRST_REGISTER;
	const cJSON *argument;
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
		err = read_argument(argument, kernel, &offset, why);
		if (err)
			return err;
	}
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
