/* SPDX-License-Identifier: Apache-2.0 */
/* veto inspect: what an image for a card, a head file, a journal or a policy file holds. */
#include "cli.h"
#include "head.h"
#include "journal.h"
#include "json.h"
#include "trace.h"
#include "xclbin.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"Usage: veto inspect [--json] FILE\n\n"
	"Prints what an image for a card (xclbin) holds: mode, platform, uuid, versions, kernels, memory banks, sections;\n"
	"or a head file: shape, output, aggregation, tap, backbone, sizes, versions; or a journal: how it was recorded, how much\n"
	"of it there is; or a policy file: the rule with all its parameters, and what it was calibrated for.\n\n"
	"      --json           one object\n"
	"      --help           this text\n";

static void print_uuid(const struct xclbin *image)
{
	for (int i = 0; i < 16; i++)
		printf("%02x%s", image->uuid[i], i == 3 || i == 5 || i == 7 || i == 9 ? "-" : "");
}

static const char *kind_name(uint32_t kind)
{
	static const char *const names[] = {
		[XCLBIN_BITSTREAM] = "BITSTREAM",
		[XCLBIN_EMBEDDED_METADATA] = "EMBEDDED_METADATA",
		[XCLBIN_MEM_TOPOLOGY] = "MEM_TOPOLOGY",
		[XCLBIN_CONNECTIVITY] = "CONNECTIVITY",
		[XCLBIN_IP_LAYOUT] = "IP_LAYOUT",
		[XCLBIN_USER_METADATA] = "USER_METADATA",
	};

	return kind < sizeof(names) / sizeof(*names) && names[kind] ? names[kind] : "another";
}

void inspect_print(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes && text[i]; i++)
		putchar(text[i] >= ' ' && text[i] < 127 ? text[i] : '?');
}

static void print_size(uint64_t kib)
{
	if (kib < 1024)
		printf(", %" PRIu64 " KiB", kib);
	else
		printf(", %" PRIu64 " MiB", kib >> 10);
}

static void print_text(const struct xclbin *image)
{
	char mode[16];
	struct xclbin_versions v;
	struct xclbin_memory memory;
	struct xclbin_ip ip;

	printf("mode        %s\nplatform    ", xclbin_mode_name(image->mode, mode));
	inspect_print(image->platform, sizeof(image->platform));
	printf("\nuuid        ");
	print_uuid(image);
	if (xclbin_versions(image, &v))
		printf("\nversions    kernel contract %u, FX%u, HX%u\n", v.contract, v.fx, v.hx);
	else
		printf("\nversions    not stated\n");
	for (uint32_t i = 0; xclbin_record(image, XCLBIN_IP_LAYOUT, i, &ip); i++) {
		printf("kernel      ");
		inspect_print(ip.name, sizeof(ip.name));
		printf(", registers at 0x%" PRIx64 "\n", ip.base);
	}
	for (uint32_t i = 0; xclbin_record(image, XCLBIN_MEM_TOPOLOGY, i, &memory); i++) {
		printf("bank        ");
		inspect_print(memory.tag, sizeof(memory.tag));
		print_size(memory.kib);
		printf(" at 0x%" PRIx64 "%s\n", memory.base, memory.is_used ? "" : ", not used");
	}
	for (uint32_t i = 0; i < image->sections; i++)
		printf("section     %s (%u), %zu bytes\n", kind_name(image->section[i].kind), image->section[i].kind,
			image->section[i].bytes);
}

/* A text of at most so many bytes that need not end with a NUL. */
static void print_string(const char *text, size_t bytes)
{
	char copy[65];

	snprintf(copy, sizeof(copy), "%.*s", (int)bytes, text);
	json_write_string(stdout, copy);
}

static void print_json(const struct xclbin *image)
{
	char mode[16];
	struct xclbin_versions v;
	struct xclbin_memory memory;
	struct xclbin_ip ip;

	printf("{\"mode\":\"%s\",\"platform\":", xclbin_mode_name(image->mode, mode));
	print_string(image->platform, sizeof(image->platform));
	printf(",\"uuid\":\"");
	print_uuid(image);
	printf("\"");
	if (xclbin_versions(image, &v))
		printf(",\"contract\":%u,\"fx\":%u,\"hx\":%u", v.contract, v.fx, v.hx);
	printf(",\"kernels\":[");
	for (uint32_t i = 0; xclbin_record(image, XCLBIN_IP_LAYOUT, i, &ip); i++) {
		printf("%s{\"name\":", i ? "," : "");
		print_string(ip.name, sizeof(ip.name));
		printf(",\"base\":%llu}", (unsigned long long)ip.base);
	}
	printf("],\"banks\":[");
	for (uint32_t i = 0; xclbin_record(image, XCLBIN_MEM_TOPOLOGY, i, &memory); i++) {
		printf("%s{\"name\":", i ? "," : "");
		print_string(memory.tag, sizeof(memory.tag));
		printf(",\"kib\":%llu,\"base\":%llu,\"used\":%s}", (unsigned long long)memory.kib,
			(unsigned long long)memory.base, memory.is_used ? "true" : "false");
	}
	printf("],\"sections\":[");
	for (uint32_t i = 0; i < image->sections; i++)
		printf("%s{\"kind\":%u,\"name\":\"%s\",\"bytes\":%zu}", i ? "," : "", image->section[i].kind,
			kind_name(image->section[i].kind), image->section[i].bytes);
	printf("]}\n");
}

static const char *weights_name(const struct veto_head *head)
{
	if (head->info.kind == VETO_HEAD_SCH)
		return head->lo ? "i24" : "i16";
	return head->info.weights == VETO_INT8 ? "int8" : "int16";
}

static void print_head_json(const struct veto_head *head)
{
	const struct veto_head_info *info = veto_head_info(head);
	const struct {
		const char *key, *value;
	} texts[] = {{"shape", info->shape}, {"output", info->output}, {"aggregation", info->aggregation},
		{"tap", info->tap}, {"backbone", info->backbone}, {"quantisation", info->quantisation},
		{"weights", weights_name(head)}, {"arithmetic", safetensors_text(&head->file, "arithmetic")},
		{"sha256", safetensors_text(&head->file, "sha256")}};

	printf("{\"kind\":\"%s\"", info->kind == VETO_HEAD_SCH ? "table" : "head");
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		printf(",\"%s\":", texts[i].key);
		json_write_string(stdout, texts[i].value);
	}
	printf(",\"cols\":%u", info->cols);
	if (info->kind == VETO_HEAD_SCH)
		printf(",\"vocab\":%u}\n", info->vocab);
	else
		printf(",\"layers\":%u,\"width\":%u,\"outputs\":%u", info->layers, info->width, info->outputs);
	if (info->statistics > 0) {
		printf(",\"statistics\":");
		json_write_string(stdout, safetensors_text(&head->file, "statistics"));
	}
	if (info->kind != VETO_HEAD_SCH)
		printf("}\n");
}

static void print_line(const char *key, const char *value)
{
	printf("%-12s", key);
	inspect_print(value, SIZE_MAX);
	putchar('\n');
}

static void print_head_text(const struct veto_head *head)
{
	const struct veto_head_info *info = veto_head_info(head);

	print_line("shape", info->shape);
	if (info->kind == VETO_HEAD_SCH)
		printf("table       %u tokens of %u values, %s\n", info->vocab, info->cols, weights_name(head));
	else if (info->layers == 2)
		printf("layers      %u to %u, ReLU, to %u, %s\n", info->cols, info->width, info->outputs,
			weights_name(head));
	else if (info->layers == 1)
		printf("layers      %u to %u, %s\n", info->cols, info->outputs, weights_name(head));
	if (info->statistics > 0)
		print_line("statistics", safetensors_text(&head->file, "statistics"));
	print_line("output", info->output);
	print_line("aggregation", info->aggregation);
	print_line("tap", info->tap);
	print_line("backbone", info->backbone);
	if (*info->quantisation)
		print_line("quantised", info->quantisation);
	print_line("arithmetic", safetensors_text(&head->file, "arithmetic"));
	print_line("sha256", safetensors_text(&head->file, "sha256"));
}

/* How the file starts; "{" of one that holds a JSON object. */
static int read_start(const char *path, char start[8], char *why)
{
	struct map map;
	const int err = map_open(path, &map, why);
	size_t spaces = 0;

	if (err)
		return err;
	memset(start, 0, 8);
	memcpy(start, map.data, map.bytes < 7 ? map.bytes : 7);
	while (spaces < map.bytes && memchr(" \t\r\n", ((const char *)map.data)[spaces], 4))
		spaces++;
	if (spaces < map.bytes && ((const char *)map.data)[spaces] == '{')
		memcpy(start, "{", 2);
	map_close(&map);
	return 0;
}

static int inspect_head(const char *path, bool is_json)
{
	struct veto_head *head;
	char why[VETO_WHY_MAX];

	if (veto_head_open(path, &head, why))
		return misused("inspect", "no xclbin: it does not start with 'xclbin2'; and as a head file, %s", why);
	(is_json ? print_head_json : print_head_text)(head);
	veto_head_close(head);
	return close_stdout("inspect", EXIT_DONE);
}

/* What a journal's header says, and how much of it there is. */
static int print_journal(struct journal_reader *r, bool is_json, char *why)
{
	struct journal_frame header, frame;
	struct trace trace;
	uint64_t count[JOURNAL_KINDS] = {0};
	int err = journal_next(r, &header, why);

	if (!err)
		err = trace_read_header((const char *)header.data, header.bytes, "journal", &trace, why);
	if (err)
		return err;
	trace_free(&trace);
	while ((err = journal_next(r, &frame, why)) == 0)
		count[frame.kind]++;
	if (err != -ENODATA)
		return err;
	printf(is_json ? "{\"header\":%.*s,\"prompts\":%" PRIu64 ",\"rounds\":%" PRIu64
			 ",\"torn_bytes\":%zu,\"complete\":%s}\n"
		       : "journal     %.*s\nprompts     %" PRIu64 ", in %" PRIu64
			 " rounds\ntorn        %zu bytes\ncomplete    %s\n",
		(int)header.bytes, (const char *)header.data, count[JOURNAL_PROMPT], count[JOURNAL_ROUND], r->torn,
		r->is_whole ? "true" : "false");
	return 0;
}

static int inspect_journal(const char *path, bool is_json)
{
	struct journal_reader reader;
	char why[VETO_WHY_MAX];
	int err = journal_open(path, &reader, why);

	if (err)
		return misused("inspect", "%s", why);
	err = print_journal(&reader, is_json, why);
	journal_shut(&reader);
	return close_stdout("inspect", err ? misused("inspect", "%s", why) : EXIT_DONE);
}

int cmd_inspect(int argc, char **argv)
{
	struct xclbin image;
	char why[VETO_WHY_MAX], start[8];
	bool is_json = false;
	void *memory;
	int status;

	if (!read_json_option("inspect", help, argc, argv, &is_json, &status))
		return status;
	if (optind + 1 != argc)
		return misused("inspect", "one FILE is needed; see veto inspect --help");
	if (read_start(argv[optind], start, why))
		return misused("inspect", "%s", why);
	if (*start == '{' && trace_is(argv[optind]))
		return misused("inspect",
			"'%s' is a trace, as its first line has \"trace\": veto evaluate and veto import read it",
			argv[optind]);
	if (*start == '{')
		return inspect_policy(argv[optind], is_json);
	if (journal_is(argv[optind]))
		return inspect_journal(argv[optind], is_json);
	if (strcmp(start, "xclbin2") != 0)
		return inspect_head(argv[optind], is_json);
	if (xclbin_load(argv[optind], &image, &memory, why))
		return misused("inspect", "%s", why);
	if (is_json)
		print_json(&image);
	else
		print_text(&image);
	free(memory);
	return close_stdout("inspect", EXIT_DONE);
}
