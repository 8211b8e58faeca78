/* SPDX-License-Identifier: Apache-2.0 */
/* veto export and veto import: recordings in the forms that people, trainers and other tools read, and back. */
#include "cli.h"
#include "export.h"
#include "recorded.h"
#include "recording.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char export_help[] =
	"Usage: veto export [--format F] [-o FILE] RECORDING...\n"
	"Writes recorded candidates (journals and traces) as JSON Lines.\n\n"
	"      --format F       trace (default): everything; its arrays go to FILE.hidden.npy and FILE.top.npy, with -o only\n"
	"                       preferences: {prompt, chosen, rejected}, a right candidate's text and a wrong one's\n"
	"                       steps: {prompt, completions, labels}, a candidate's steps and whether all is right so far\n"
	"                       first-error: {problem, steps, label}, the index of the first wrong step, or -1\n"
	"                       best-of-n: {prompt, response, right, candidates}, the likeliest right candidate\n"
	"                       progress: {prompt, steps, rewards, progress}, the rewards of steps, and how each changed it\n"
	"  -o, --output FILE    (default: standard output)\n"
	"      --help           this text\n";

static const char import_help[] = "Usage: veto import -o JOURNAL RECORDING...\n"
				  "Writes recorded candidates (traces and journals) as one journal, in lockstep.\n\n"
				  "  -o, --output FILE    the journal\n"
				  "      --help           this text\n";

struct args {
	const char *format, *output;
};

static int read_option(int option, char *text, void *arg)
{
	struct args *args = arg;

	if (option == 'f')
		args->format = text;
	else
		args->output = text;
	return EXIT_DONE;
}

static int export_all(const struct args *args, const struct trace *t)
{
	FILE *out = args->output ? fopen(args->output, "we") : stdout;
	char why[VETO_WHY_MAX];
	int status = EXIT_DONE;

	if (!out)
		return misused("export", "can't write '%s': %s", args->output, strerror(errno));
	if (!args->output && strcmp(args->format, "trace") == 0 && (t->state_cols || t->tops))
		say("export", "hidden states and likeliest tokens are left out: they need -o FILE");
	if (strcmp(args->format, "trace") != 0)
		status = export_lines("export", args->format, t, out);
	else if (recording_write_trace(t, out, args->output, why))
		status = failed("export", "%s", why);
	if (args->output && (ferror(out) || fclose(out)) && !status)
		status = failed("export", "can't write '%s': %s", args->output, strerror(errno));
	return status;
}

int cmd_export(int argc, char **argv)
{
	static const struct option options[] = {{"format", required_argument, NULL, 'f'},
		{"output", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'}, {0}};
	static const struct command_options all = {"export", export_help, ":o:h", options, read_option};
	struct args args = {.format = "trace"};
	struct trace trace;
	bool wants_help;
	int status = read_options(&all, argc, argv, &args, &wants_help);

	if (status || wants_help)
		return status ? status : close_stdout("export", status);
	if (strcmp(args.format, "trace") != 0 && !export_knows(args.format))
		return misused("export", "--format '%s': unknown; see veto export --help", args.format);
	if (check_output("export", "-o", args.output, argc, argv, NULL, 0))
		return EXIT_MISUSED;
	status = recorded_read("export", argc, argv, false, &trace);
	if (status)
		return status;
	status = export_all(&args, &trace);
	trace_free(&trace);
	return close_stdout("export", status);
}

int cmd_import(int argc, char **argv)
{
	static const struct option options[] = {
		{"output", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'}, {0}};
	static const struct command_options all = {"import", import_help, ":o:h", options, read_option};
	struct args args = {.output = NULL};
	char why[VETO_WHY_MAX];
	struct trace trace;
	bool wants_help;
	int err, status = read_options(&all, argc, argv, &args, &wants_help);

	if (status || wants_help)
		return status ? status : close_stdout("import", status);
	if (!args.output)
		return misused("import", "-o JOURNAL is needed; see veto import --help");
	if (check_output("import", "-o", args.output, argc, argv, NULL, 0))
		return EXIT_MISUSED;
	status = recorded_read("import", argc, argv, true, &trace);
	if (status)
		return status;
	err = recording_write_journal(&trace, args.output, why);
	if (err)
		status = err == -EINVAL ? misused("import", "%s", why) : failed("import", "%s", why);
	trace_free(&trace);
	return close_stdout("import", status);
}
