/* SPDX-License-Identifier: Apache-2.0 */
/* veto devices: what can score here. */
#include "cli.h"
#include "json.h"

#include <string.h>

static const char help[] =
	"Usage: veto devices [--json]\n\n"
	"Lists the devices that this build knows: whether each can be opened here, what it can score,\n"
	"and why one can't be opened.\n\n"
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

static void print_json(const char *uri, const char *why)
{
	struct veto_device *dev = NULL;

	printf("{\"device\":");
	json_write_string(stdout, uri);
	printf(",\"available\":%s", why ? "false" : "true");
	if (why) {
		printf(",\"reason\":");
		json_write_string(stdout, why);
	} else if (veto_device_open(uri, &dev, NULL) == 0) {
		printf(",\"opened_as\":");
		json_write_string(stdout, veto_device_info(dev)->uri);
		printf(",\"rows\":[\"logits\"],\"formats\":[");
		print_formats(veto_device_info(dev), "\"", ",");
		printf("],\"vocab_max\":%u,\"top_k_max\":%u", VETO_VOCAB_MAX, VETO_TOP_MAX);
	}
	printf("}\n");
	veto_device_close(dev);
}

static void print_text(const char *uri, const char *why)
{
	struct veto_device *dev = NULL;

	if (why) {
		printf("%-20s can't be opened: %s\n", uri, why);
	} else if (veto_device_open(uri, &dev, NULL) == 0) {
		printf("%-20s scores rows of logits in ", uri);
		print_formats(veto_device_info(dev), "", ", ");
		printf("; opens as %s\n", veto_device_info(dev)->uri);
	}
	veto_device_close(dev);
}

static void found(void *arg, const char *uri, const char *why)
{
	if (*(const bool *)arg)
		print_json(uri, why);
	else
		print_text(uri, why);
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
