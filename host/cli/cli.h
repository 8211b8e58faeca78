/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of `veto` share. */
#ifndef VETO_CLI_H
#define VETO_CLI_H

#include "param.h"
#include "veto.h"

#include <getopt.h>
#include <stdio.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_MISUSED = 2 };

struct command {
	const char *name, *help;
	int (*run)(int argc, char **argv); /* argv[0] is the command's name */
};

/* Print "veto COMMAND: message" to stderr, on one line. */
void say(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Progress, on one line of stderr, if that is a terminal, at most five times a second; and wipe it. */
void say_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
void end_progress(void);
/* The same as say(), as expressions whose value is the exit code. */
#define misused(...) (say(__VA_ARGS__), EXIT_MISUSED)
#define failed(...) (say(__VA_ARGS__), EXIT_FAILED)
/* After getopt_long() returned '?' or ':' (optstring starting with ':'): says what is wrong with argv. */
int bad_option(const char *command, int argc, char **argv, int option);
/* A command's options: those that getopt_long() reads, and what takes them, EXIT_DONE or having said what is wrong. */
struct command_options {
	const char *command, *help, *letters; /* letters: optstring, starting with ':' */
	const struct option *option;
	int (*take)(int option, char *text, void *arg);
};
/* Read them; EXIT_MISUSED, having said so, if one is bad.  *wants_help: the help was asked for, and printed. */
int read_options(const struct command_options *o, int argc, char **argv, void *arg, bool *wants_help);
/* The options of a command that takes --json and --help only.  *is_json: --json was given; false, and *status is how the
 * command ends: help was shown, or an option is bad. */
bool read_json_option(const char *command, const char *help, int argc, char **argv, bool *is_json, int *status);
/* A whole number between low and high in an option's value; EXIT_MISUSED, having said so, if it is none. */
int read_count(const char *command, const char *option, const char *text, int64_t low, int64_t high, int64_t *out);
/* A decimal between low and high. */
int read_decimal(const char *command, const char *option, const char *text, double low, double high, double *out);
/* Whether a text names a policy, and not a file. */
bool is_policy(const char *text);
/* The file that a rule's text names, to be freed; NULL with 0: it names none.  -EINVAL */
int rule_file_read(const char *text, char **json, size_t *bytes, char *why);
/* A rule from an option's text, or from the JSON file that it names; EXIT_MISUSED, having said so, if it is none, or of
 * the other role. */
int read_rule(const char *command, const char *option, const char *text, bool selects, struct veto_rule *out);
/* Whether a score that the rule reads is the reward. */
bool rule_reads_reward(const struct veto_rule *rule);
/* Rules as one text, "none" if there are none; returns its length, as snprintf does. */
size_t rules_print(const struct veto_rule *rule, uint32_t rules, char *text, size_t bytes);
/* Cut texts where VETO_RULES_JOINED joins them; returns how many.  The last of VETO_RULES_MAX is not cut further. */
uint32_t rules_split(char *texts, char *out[VETO_RULES_MAX]);
/* Where there is a head, a gate ranks by its reward, unless its text, or the file that this names, says by what. */
void rule_prefer_reward(const char *text, struct veto_rule *rule);
/* That a file to be written (NULL: none) is none of those that are read, which are named from argv[optind] on, or by one of
 * more[] (rules may be joined in it, and it may be NULL); EXIT_MISUSED, having said so. */
int check_output(const char *command, const char *option, const char *output, int argc, char **argv,
	const char *const *more, uint32_t count);
bool is_same_file(const char *a, const char *b);
/* Close stdout; EXIT_FAILED, having said so, if something could not be written. */
int close_stdout(const char *command, int status);

int cmd_devices(int argc, char **argv);
int cmd_calibrate(int argc, char **argv);
int cmd_evaluate(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_head(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_policies(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_score(int argc, char **argv);
int cmd_run(int argc, char **argv);

/* Print a text of at most so many bytes, without what would move a terminal's cursor. */
void inspect_print(const char *text, size_t bytes);
/* Print a policy file; returns the exit code. */
int inspect_policy(const char *path, bool is_json);

/* Train a head; argv[0] is the verb.  Returns the exit code. */
int head_train(int argc, char **argv);
extern const char head_train_help[];

/* Make the table of a model's tokens (needs llama.cpp's ggml); returns the exit code. */
int head_sch(const char *model, bool is_i16, const char *output);

#endif
