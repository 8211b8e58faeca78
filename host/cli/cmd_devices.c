/* SPDX-License-Identifier: Apache-2.0 */
/* veto devices: what can score here. */
#include "cli.h"
#include "json.h"

#include <string.h>

static const char help[] =
	"Usage: veto devices [--json]\n\n"
	"Lists the devices that this build knows: whether each can be opened here, what it can score,\n"
	"and why one can't be opened.  A device is written backend:option=value,...\n\n"
	"  cpu:isa=ISA,threads=N                            this processor\n"
	"  xrt:index=N,xclbin=FILE,deadline=SECONDS         a card, with an image that bitstreams/recipes builds\n"
	"  xrt:emulation=sw|hw,xclbin=FILE,deadline=SECONDS a card that is emulated\n\n"
	"  --json   one JSON object a line\n"
	"  --help   this text\n";

static void print_formats(const struct veto_device_info *info, const char *quote, const char *separator)
{
	const char *between = "";

	for (int i = 0; i < VETO_FORMATS; i++) {
		if (!(info->formats >> i & 1))
			continue;
		printf("%s%s%s%s", between, quote, veto_format_names[i], quote);
		between = separator;
	}
}

static void print_heads(const struct veto_device_info *info, const char *quote, const char *separator)
{
	const char *between = "";

	for (int i = 0; i < VETO_HEAD_SORTS; i++) {
		if (!(info->heads >> i & 1))
			continue;
		printf("%s%s%s%s", between, quote, veto_head_sort_names[i], quote);
		between = separator;
	}
}

static void print_json(const char *uri, const struct veto_device_info *info, const char *why)
{
	printf("{\"device\":");
	json_write_string(stdout, uri);
	printf(",\"available\":%s", info ? "true" : "false");
	if (info) {
		printf(",\"opened_as\":");
		json_write_string(stdout, info->uri);
		printf(",\"rows\":[\"logits\"%s],\"formats\":[", info->heads ? ",\"hidden\"" : "");
		print_formats(info, "\"", ",");
		printf("],\"heads\":[");
		print_heads(info, "\"", ",");
		printf("],\"vocab_max\":%u,\"top_k_max\":%u", VETO_VOCAB_MAX, VETO_TOP_MAX);
	} else {
		printf(",\"reason\":");
		json_write_string(stdout, why);
	}
	printf("}\n");
}

static void print_text(const char *uri, const struct veto_device_info *info, const char *why)
{
	if (!info) {
		printf("%-20s can't be opened: %s\n", uri, why);
		return;
	}
	printf("%-20s scores rows of logits in ", uri);
	print_formats(info, "", ", ");
	fputs(info->heads ? ", and hidden states with heads: " : ", no hidden states", stdout);
	print_heads(info, "", ", ");
	printf("; opens as %s\n", info->uri);
}

static void found(void *arg, const char *uri, const struct veto_device_info *info, const char *why)
{
	if (*(const bool *)arg)
		print_json(uri, info, why);
	else
		print_text(uri, info, why);
}

int cmd_devices(int argc, char **argv)
{
	bool is_json = false;
	int status;

	if (!read_json_option("devices", help, argc, argv, &is_json, &status))
		return status;
	if (optind < argc)
		return misused("devices", "unexpected argument '%s'", argv[optind]);
	veto_device_list(found, &is_json);
	return close_stdout("devices", EXIT_DONE);
}
