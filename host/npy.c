/* SPDX-License-Identifier: Apache-2.0 */
/* The .npy format of numpy (NEP 1), for arrays of two dimensions. */
#include "npy.h"
#include "param.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GROWING '\t' /* before a header's last character */
#define HEADER_MAX 4096

/* The text after 'key': in the header's Python dictionary, or NULL. */
static const char *find_value(const char *header, const char *key)
{
	char quoted[32];
	const char *at;

	snprintf(quoted, sizeof(quoted), "'%s'", key);
	at = strstr(header, quoted);
	if (!at)
		return NULL;
	at += strlen(quoted);
	at += strspn(at, " ");
	if (*at++ != ':')
		return NULL;
	return at + strspn(at, " ");
}

static int parse_type(const char *value, const char *name, struct npy *out, char *why)
{
	size_t length = value && *value == '\'' ? strcspn(value + 1, "'") : 0;

	if (length < 3 || length >= sizeof(out->type))
		return param_fail(-EINVAL, why, "%s: the .npy header has no plain 'descr'", name);
	if (value[1] == '>')
		return param_fail(-EINVAL, why, "%s: byte order '%.*s': only little-endian values are read", name,
			(int)length, value + 1);
	snprintf(out->type, sizeof(out->type), "%.*s", (int)length - 1, value + 2);
	out->item_bytes = (uint32_t)strtoul(out->type + 1, NULL, 10);
	if (!strchr("<|=", value[1]) || out->item_bytes < 1 || out->item_bytes > 16)
		return param_fail(-EINVAL, why, "%s: unknown type '%.*s'", name, (int)length, value + 1);
	return 0;
}

static int parse_shape(const char *value, const char *name, struct npy *out, char *why)
{
	size_t length = value && *value == '(' ? strcspn(value, ")") + 1 : 0;
	const char *shape = value;
	unsigned long long rows, cols;
	char *end;

	if (length == 0)
		return param_fail(-EINVAL, why, "%s: the .npy header has no 'shape'", name);
	rows = strtoull(value + 1, &end, 10);
	if (end == value + 1 || *end != ',')
		goto err_shape;
	value = end + 1;
	cols = strtoull(value, &end, 10);
	if (end == value || *end != ')' || rows > UINT32_MAX || cols > UINT32_MAX)
		goto err_shape;
	out->rows = rows;
	out->cols = cols;
	return 0;

err_shape:
	return param_fail(-EINVAL, why, "%s: the array's shape is %.*s, not (rows, values)", name,
		length < 64 ? (int)length : 64, shape);
}

static int parse_header(const char *header, const char *name, struct npy *out, char *why)
{
	const char *order = find_value(header, "fortran_order");
	int err;

	err = parse_type(find_value(header, "descr"), name, out, why);
	if (err)
		return err;
	if (!order || strncmp(order, "False", 5) != 0)
		return param_fail(-EINVAL, why, "%s: the array is in Fortran order: rows must be contiguous", name);
	return parse_shape(find_value(header, "shape"), name, out, why);
}

int npy_parse(const void *file, size_t bytes, const char *name, struct npy *out, char *why)
{
	const unsigned char *at = file;
	char header[HEADER_MAX + 1];
	struct npy npy = {0};
	unsigned __int128 whole;
	size_t start, length;
	bool is_growing;
	int err;

	if (bytes < 12 || memcmp(at, "\x93NUMPY", 6) != 0)
		return param_fail(-EINVAL, why, "%s: not an .npy file", name);
	if (at[6] < 1 || at[6] > 3)
		return param_fail(-EINVAL, why, "%s: version %u of .npy is not known", name, at[6]);
	start = at[6] == 1 ? 10 : 12;
	length = at[8] | (size_t)at[9] << 8;
	if (at[6] > 1)
		length |= (size_t)at[10] << 16 | (size_t)at[11] << 24;
	if (length > HEADER_MAX || length > bytes - start)
		return param_fail(
			-EINVAL, why, "%s: the .npy header is cut off or longer than %d bytes", name, HEADER_MAX);
	memcpy(header, at + start, length);
	header[length] = 0;
	err = parse_header(header, name, &npy, why);
	if (err)
		return err;
	npy.data = at + start + length;
	/* rows and cols are below 2^32 and item_bytes at most 16: check without overflow. */
	whole = (unsigned __int128)npy.rows * npy.cols * npy.item_bytes;
	is_growing = length >= 2 && header[length - 2] == GROWING && whole < bytes - start - length;
	if (whole != bytes - start - length && !is_growing)
		return param_fail(-EINVAL, why,
			"%s: %llu x %llu values of %u bytes do not fill the file's %zu bytes of data", name,
			(unsigned long long)npy.rows, (unsigned long long)npy.cols, npy.item_bytes,
			bytes - start - length);
	*out = npy;
	return 0;
}

int npy_write_header(FILE *file, const char *type, uint64_t rows, uint64_t cols, bool is_growing)
{
	char header[NPY_HEADER_BYTES + 1];
	int used;

	memcpy(header, "\x93NUMPY\x01\x00", 8);
	header[8] = NPY_HEADER_BYTES - 10;
	header[9] = 0;
	used = 10 + snprintf(header + 10, sizeof(header) - 10,
			    "{'descr': '<%s', 'fortran_order': False, 'shape': (%llu, %llu), }", type,
			    (unsigned long long)rows, (unsigned long long)cols);
	memset(header + used, ' ', (size_t)(NPY_HEADER_BYTES - used));
	if (is_growing)
		header[NPY_HEADER_BYTES - 2] = GROWING;
	header[NPY_HEADER_BYTES - 1] = '\n';
	return fwrite(header, NPY_HEADER_BYTES, 1, file) == 1 ? 0 : -EIO;
}
