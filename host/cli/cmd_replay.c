/* SPDX-License-Identifier: Apache-2.0 */
/* veto replay: whether a journal's verdicts follow from its scores. */
#include "cli.h"
#include "replay.h"

#include <inttypes.h>

static const char help[] =
	"Usage: veto replay [--json] JOURNAL\n"
	"Judges the recorded scores again and compares every verdict and choice with the journal's.\n\n"
	"      --json           one JSON object for the whole\n"
	"      --help           this text\n\n"
	"Exit code 0: all agree; 1: one differs, or the journal is damaged.\n";

static void print_difference(void *arg, const char *text)
{
	(void)arg;
	say("replay", "%s", text);
}

static void print_json(const struct replay *r)
{
	printf("{\"prompts\":%" PRIu64 ",\"rounds\":%" PRIu64 ",\"tokens\":%" PRIu64 ",\"verdicts\":%" PRIu64
	       ",\"choices\":%" PRIu64 ",\"different\":%" PRIu64
	       ",\"unfinished\":%u,\"torn_bytes\":%zu,\"complete\":%s}\n",
		r->prompts, r->rounds, r->tokens, r->verdicts, r->choices, r->different, r->unfinished, r->torn,
		r->is_whole ? "true" : "false");
}

static void print_text(const struct replay *r)
{
	printf("%" PRIu64 " prompts, %" PRIu64 " rounds, %" PRIu64 " tokens: %" PRIu64 " verdicts and %" PRIu64
	       " choices, %" PRIu64 " different\n",
		r->prompts, r->rounds, r->tokens, r->verdicts, r->choices, r->different);
	if (!r->is_whole)
		printf("the recording was cut short%s: %zu bytes at its end are no whole record\n",
			r->unfinished ? " inside a prompt" : "", r->torn);
}

int cmd_replay(int argc, char **argv)
{
	struct journal_reader reader;
	struct replay r;
	char why[VETO_WHY_MAX];
	bool is_json = false;
	int status, err;

	if (!read_json_option("replay", help, argc, argv, &is_json, &status))
		return status;
	if (optind + 1 != argc)
		return optind == argc ? misused("replay", "a JOURNAL is needed; see veto replay --help")
				      : misused("replay", "unexpected argument '%s'", argv[optind + 1]);
	if (journal_open(argv[optind], &reader, why))
		return misused("replay", "%s", why);
	err = replay_journal(&reader, print_difference, NULL, &r, why);
	journal_shut(&reader);
	if (err)
		return close_stdout("replay", failed("replay", "%s", why));
	if (is_json)
		print_json(&r);
	else
		print_text(&r);
	return close_stdout("replay", r.different ? EXIT_FAILED : EXIT_DONE);
}
