/* SPDX-License-Identifier: Apache-2.0 */
/* veto: the command line. */
#include "cli.h"
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct command commands[] = {
	{"score", "score rows of logits, or hidden states, from a file", cmd_score},
#ifdef VETO_HAS_RUN
	{"run", "generate candidates with llama.cpp, stop the doomed ones, choose an answer", cmd_run},
#endif
	{"evaluate", "play recorded candidates through policies, as if they were live", cmd_evaluate},
	{"calibrate", "choose a policy's free number with a stated risk, from recorded candidates", cmd_calibrate},
	{"export", "write recorded candidates as a trace, or for trainers", cmd_export},
	{"import", "write recorded candidates as a journal", cmd_import},
	{"replay", "judge a journal again, and compare the verdicts", cmd_replay},
	{"devices", "list the devices that can score", cmd_devices},
	{"head", "make what scores hidden states", cmd_head},
	{"inspect", "print what an image for a card, a head, a journal or a policy file holds", cmd_inspect},
	{"policies", "list the policies, their parameters and sources", cmd_policies},
	{0},
};

static bool has_progress;
static uint64_t progress_ns; /* when it was last shown */

void say_progress(const char *format, ...)
{
	const uint64_t now = clock_ns();
	va_list args;

	if (!isatty(STDERR_FILENO) || (has_progress && now - progress_ns < 200000000))
		return;
	has_progress = true;
	progress_ns = now;
	va_start(args, format);
	fprintf(stderr, "\r\033[K");
	vfprintf(stderr, format, args);
	va_end(args);
}

void end_progress(void)
{
	if (has_progress)
		fprintf(stderr, "\r\033[K");
	has_progress = false;
}

void say(const char *command, const char *format, ...)
{
	char message[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	for (char *c = message; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	fflush(stdout);
	end_progress();
	fprintf(stderr, "veto %s: %s\n", command, message);
}

int bad_option(const char *command, int argc, char **argv, int option)
{
	const char *text = optind <= argc && optind > 0 ? argv[optind - 1] : "";

	if (option == ':')
		return misused(command, "option '%s' needs a value; see veto %s --help", text, command);
	if (optopt && text[0] == '-' && text[1] == '-')
		return misused(command, "option '%s' takes no value", text);
	if (optopt)
		return misused(command, "unknown option '-%c'; see veto %s --help", optopt, command);
	return misused(command, "unknown option '%s'; see veto %s --help", text, command);
}

int read_options(const struct command_options *o, int argc, char **argv, void *arg, bool *wants_help)
{
	int option;

	*wants_help = false;
	while ((option = getopt_long(argc, argv, o->letters, o->option, NULL)) != -1) {
		if (option == 'h') {
			fputs(o->help, stdout);
			*wants_help = true;
			return EXIT_DONE;
		}
		if (option == '?' || option == ':')
			return bad_option(o->command, argc, argv, option);
		if (o->take(option, optarg, arg))
			return EXIT_MISUSED;
	}
	return EXIT_DONE;
}

bool read_json_option(const char *command, const char *help, int argc, char **argv, bool *is_json, int *status)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
	int option;

	while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (option == 'j') {
			*is_json = true;
			continue;
		}
		if (option == 'h')
			fputs(help, stdout);
		*status = option == 'h' ? close_stdout(command, EXIT_DONE) : bad_option(command, argc, argv, option);
		return false;
	}
	return true;
}

int read_count(const char *command, const char *option, const char *text, int64_t low, int64_t high, int64_t *out)
{
	int64_t value;

	if (param_count(text, &value) || value < low || value > high)
		return misused(command, "%s %s: expected a whole number from %lld to %lld", option, text,
			(long long)low, (long long)high);
	*out = value;
	return 0;
}

int read_decimal(const char *command, const char *option, const char *text, double low, double high, double *out)
{
	char *end;
	double value = strtod(text, &end);

	if (strspn(text, "+-.0123456789eE") != strlen(text) || end == text || *end || value < low || value > high)
		return misused(command, "%s %s: expected a number from %g to %g", option, text, low, high);
	*out = value;
	return 0;
}

bool is_same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Whether a text names the file, or joins rules of which one does. */
static bool names_file(const char *text, const char *file)
{
	char *copy = text ? strdup(text) : NULL, *rule[VETO_RULES_MAX];
	const uint32_t rules = copy ? rules_split(copy, rule) : 0;
	bool is_any = false;

	for (uint32_t i = 0; i < rules; i++)
		is_any |= is_same_file(rule[i], file);
	free(copy);
	return is_any;
}

int check_output(const char *command, const char *option, const char *output, int argc, char **argv,
	const char *const *more, uint32_t count)
{
	bool is_read = false;

	for (int i = optind; i < argc && output; i++)
		is_read |= is_same_file(argv[i], output);
	for (uint32_t i = 0; i < count && output; i++)
		is_read |= names_file(more[i], output);
	return is_read ? misused(command, "%s %s is a file that is read", option, output) : EXIT_DONE;
}

int close_stdout(const char *command, int status)
{
	if (ferror(stdout) || fclose(stdout))
		return failed(command, "can't write to standard output: %s", strerror(errno));
	return status;
}

static void print_help(FILE *out)
{
	fprintf(out,
		"veto %s: scores the tokens of language models, and says which candidates are not worth finishing\n\n"
		"Usage: veto COMMAND [OPTION]...\n\nCommands:\n",
		veto_version());
	for (size_t i = 0; commands[i].name; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
	fprintf(out, "\n`veto COMMAND --help` says more; man veto says everything.\n");
#ifndef VETO_HAS_RUN
	fprintf(out, "`veto run` is not in this build: it was made without llama.cpp.\n");
#endif
}

/* What is opened later must not take the place of a closed standard stream. */
static void open_standard_streams(void)
{
	int fd = open("/dev/null", O_RDWR);

	while (fd >= 0 && fd <= STDERR_FILENO)
		fd = dup(fd);
	if (fd >= 0)
		close(fd);
}

#ifdef VETO_HAS_RUN
/* llama.cpp's threads wait for each other many times a token.  Left alone, libgomp has them spin for so long that a busy
 * machine makes a run ten times slower; it reads how long when it is loaded, so the program starts once more. */
static void calm_down(char **argv)
{
	if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY") || setenv("GOMP_SPINCOUNT", "1000", 0))
		return;
	execv("/proc/self/exe", argv);
}
#endif

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "--help";

	open_standard_streams();
#ifdef VETO_HAS_RUN
	if (strcmp(name, "run") == 0)
		calm_down(argv);
#endif

	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		print_help(argc > 1 ? stdout : stderr);
		return close_stdout("help", argc > 1 ? EXIT_DONE : EXIT_MISUSED);
	}
	if (strcmp(name, "--version") == 0) {
		printf("veto %s\n", veto_version());
		return close_stdout("version", EXIT_DONE);
	}
	for (size_t i = 0; commands[i].name; i++)
		if (strcmp(commands[i].name, name) == 0)
			return commands[i].run(argc - 1, argv + 1);
#ifndef VETO_HAS_RUN
	if (strcmp(name, "run") == 0)
		return failed("run", "this build has no `veto run`: it was made without llama.cpp");
#endif
	fprintf(stderr, "veto: unknown command '%s'; see veto --help\n", name);
	return EXIT_MISUSED;
}
