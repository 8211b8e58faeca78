/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a policy file holds: it is refused unless its checksum is that of its members, and with that one it is compared with a
 * use and taken or refused. */
#include "calibrated.h"
#include "hash.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHECKSUM "calibrated_checksum"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t messages;

/* In the program's place: the message is made, and not shown. */
void say(const char *command, const char *format, ...)
{
	char message[1024];
	va_list args;

	(void)command;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	messages++;
}

/* What a file's members come to. */
struct members {
	uint64_t hash;
	char stated[4096];
	bool is_calibrated;
};

static int add_member(void *arg, const char *key, const char *value, char *why)
{
	struct members *m = arg;

	(void)why;
	m->is_calibrated |= strncmp(key, "calibrated_", strlen("calibrated_")) == 0;
	if (strcmp(key, CHECKSUM) == 0) {
		snprintf(m->stated, sizeof(m->stated), "%s", value);
		return 0;
	}
	m->hash = hash_bytes(m->hash, key, strlen(key) + 1);
	m->hash = hash_bytes(m->hash, value, strlen(value) + 1);
	return 0;
}

/* How it is used: two rules together, of which the file's is the first. */
static const struct usage *usage_of(void)
{
	static struct veto_rule rule[VETO_RULES_MAX];
	static struct usage usage = {.candidates = 8,
		.cohort = 8,
		.max_tokens = 160,
		.text = {[USAGE_MODEL] = "Qwen2.5-Coder-0.5B-Instruct Q4_K_M",
			[USAGE_SAMPLER] = "{\"temperature\":0.7,\"min_p\":0.05}",
			[USAGE_SOURCE] = "exact",
			[USAGE_SELECT] = "majority"},
		.rule = rule};

	if (usage.rules == 0 && veto_rules_parse("floor:threshold=-1 + esc:window=2", rule, &usage.rules, NULL))
		abort();
	return &usage;
}

/* A file that has these bytes. */
static const char *write_file(const void *data, size_t size)
{
	static char name[32];
	static int file;

	if (!*name) {
		file = memfd_create("policy", MFD_CLOEXEC);
		snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
	}
	if (file < 0 || ftruncate(file, 0) || pwrite(file, data, size, 0) != (ssize_t)size)
		abort();
	return name;
}

static void check(const void *data, size_t size)
{
	const struct json_source source = {
		.text = data, .bytes = size, .file = "fuzz.json", .first_line = 1, .has_lists = true};
	struct members m = {.hash = HASH_START};
	enum calibrated_state expected = CALIBRATED_NOT, state;
	char why[VETO_WHY_MAX], checksum[17];
	const int err = json_object(&source, add_member, &m, why);
	int status;

	snprintf(checksum, sizeof(checksum), "%016" PRIx64, m.hash);
	if (m.is_calibrated)
		expected = strcmp(m.stated, checksum) == 0 ? CALIBRATED_INTACT : CALIBRATED_CHANGED;
	if (calibrated_find_state(&source, &state, why) != err || (!err && state != expected))
		abort();
	messages = 0;
	status = calibrated_check("fuzz", write_file(data, size), usage_of(), 0);
	if ((status != EXIT_DONE && status != EXIT_MISUSED) || (status == EXIT_MISUSED && messages == 0))
		abort();
	if ((err || expected == CALIBRATED_CHANGED) && status == EXIT_DONE)
		abort();
	if (!err && expected == CALIBRATED_NOT && status != EXIT_DONE)
		abort();
}

/* Where the file states its checksum, which may be of any length, or where it could: before the last brace. */
static const char *find_seal(const char *text, const char *stated, size_t *length)
{
	const char *key = strstr(text, "\"" CHECKSUM "\""),
		   *at = key ? strstr(key + strlen(CHECKSUM) + 2, stated) : NULL;

	*length = at ? strlen(stated) : 0;
	return *stated ? at : strrchr(text, '}');
}

/* No mutation finds a checksum, so the right one is put in. */
static char *reseal(const char *text)
{
	const struct json_source source = {
		.text = text, .bytes = strlen(text), .file = "fuzz.json", .first_line = 1, .has_lists = true};
	struct members m = {.hash = HASH_START};
	char why[VETO_WHY_MAX], *out;
	const char *seal;
	size_t length;

	if (json_object(&source, add_member, &m, why))
		return NULL;
	seal = find_seal(text, m.stated, &length);
	if (!seal || asprintf(&out, "%.*s%s%016" PRIx64 "%s%s", (int)(seal - text), text,
			     *m.stated ? "" : ",\"" CHECKSUM "\":\"", m.hash, *m.stated ? "" : "\"", seal + length) < 0)
		return NULL;
	return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *sealed;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	check(data, size);
	sealed = reseal(text);
	if (sealed)
		check(sealed, strlen(sealed));
	free(sealed);
	free(text);
	return 0;
}
