/* SPDX-License-Identifier: Apache-2.0 */
/* veto score: the scores of rows from a file, on one device or several that must agree. */
#include "cli.h"
#include "rows_file.h"
#include "score_print.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TOP_DEFAULT 20
#define DEVICES_MAX 8
#define BATCH_ROWS 64

static const char help[] =
	"Usage: veto score [OPTION]... FILE\n\n"
	"Scores every row of logits in FILE: .npy (rows x vocabulary; float32, float16, or uint16 with --format bf16),\n"
	"or raw little-endian rows with --vocab.  With --head or --sch the rows are hidden states.\n\n"
	"  -d, --device URI     device that scores (default cpu:); with several each scores every row, any difference is\n"
	"                       printed, and the exit code is 1\n"
	"      --format F       fp32 (default), fp16 or bf16\n"
	"      --vocab N        logits a row that count; below the columns of an .npy file the rest is padding\n"
	"      --stride N       values from row to row in a raw file (default: the vocabulary)\n"
	"      --tokens FILE    sampled tokens, one id a line, one line a row\n"
	"      --top-k K        likeliest tokens that are listed, and the k of the confidence (0 to 32, default 20)\n"
	"      --subset ID,...  token ids (64 at most) whose probabilities among themselves are wanted\n"
	"      --head FILE      reward of each hidden state by this head (veto head import)\n"
	"      --sch FILE       exact self-certainty of each hidden state by this table (veto head sch); needs --tokens and\n"
	"      --logp FILE      log-probabilities of those tokens at temperature 1, in nats, one a line\n"
	"      --json           one JSON object a row, integers: Q20 nats (1 nat = 2^20), Q31 (1.0 = 2^31), Q16\n"
	"      --help           this text\n\n"
	"Without --json: a table in nats. Exit code 0: done, 1: failed or devices differ, 2: misused.\n";

struct args {
	struct rows_args rows;
	const char *uri[DEVICES_MAX];
	uint32_t devices;
	int64_t top_k; /* -1: not given */
	uint32_t subset[VETO_SUBSET_MAX], subset_tokens;
	const char *head_path;
	bool is_table; /* by --sch */
	struct veto_head *head;
	bool is_json;
};

/* One device and what it found about a batch. */
struct lane {
	struct veto_device *dev;
	uint32_t head; /* its slot */
	int32_t head_q16[BATCH_ROWS * VETO_HEAD_OUTPUTS_MAX];
	struct veto_score score[BATCH_ROWS];
	struct veto_record record[BATCH_ROWS];
	uint32_t top_id[BATCH_ROWS * VETO_TOP_MAX], subset_q31[BATCH_ROWS * VETO_SUBSET_MAX];
};

static int read_format(const char *text, int *out)
{
	for (int i = 0; i < VETO_FORMATS; i++) {
		if (strcmp(veto_format_names[i], text) == 0) {
			*out = i;
			return 0;
		}
	}
	return misused("score", "--format %s: expected fp32, fp16 or bf16", text);
}

static int read_subset(char *text, struct args *args)
{
	for (char *one; (one = strsep(&text, ",")); args->subset_tokens++) {
		int64_t id;

		if (args->subset_tokens == VETO_SUBSET_MAX)
			return misused("score", "--subset: more than %d token ids", VETO_SUBSET_MAX);
		if (read_count("score", "--subset", one, 0, VETO_VOCAB_MAX - 1, &id))
			return EXIT_MISUSED;
		for (uint32_t i = 0; i < args->subset_tokens; i++)
			if (args->subset[i] == id)
				return misused("score", "--subset: token id %s stands there twice", one);
		args->subset[args->subset_tokens] = (uint32_t)id;
	}
	return 0;
}

static int read_number(const char *option, const char *text, int64_t low, int64_t high, uint32_t *out)
{
	int64_t value;

	if (read_count("score", option, text, low, high, &value))
		return EXIT_MISUSED;
	*out = (uint32_t)value;
	return 0;
}

static int read_option(int option, char *text, void *arg)
{
	struct args *args = arg;

	switch (option) {
	case 'd':
		if (args->devices == DEVICES_MAX)
			return misused("score", "more than %d devices", DEVICES_MAX);
		args->uri[args->devices++] = text;
		return 0;
	case 'f':
		return read_format(text, &args->rows.format);
	case 'v':
		return read_number("--vocab", text, 1, VETO_VOCAB_MAX, &args->rows.vocab);
	case 's':
		return read_number("--stride", text, 1, UINT32_MAX, &args->rows.stride);
	case 't':
		args->rows.tokens_path = text;
		return 0;
	case 'k':
		return read_count("score", "--top-k", text, 0, VETO_TOP_MAX, &args->top_k);
	case 'u':
		return read_subset(text, args);
	case 'e':
	case 'c':
		if (args->head_path)
			return misused("score", "one --head or --sch is enough");
		args->head_path = text;
		args->is_table = option == 'c';
		return 0;
	case 'l':
		args->rows.logp_path = text;
		return 0;
	default:
		args->is_json = true;
		return 0;
	}
}

/* Options that go together. */
static int check_args(const struct args *args)
{
	if (args->is_table != (args->rows.logp_path != NULL))
		return misused("score", "--sch and --logp go together");
	if (args->is_table && !args->rows.tokens_path)
		return misused("score", "--sch needs --tokens");
	if (args->head_path && !args->is_table && args->rows.tokens_path)
		return misused("score", "--tokens is of logits and of --sch, not of --head");
	if (args->head_path && (args->rows.vocab || args->subset_tokens || args->top_k >= 0))
		return misused("score", "--vocab, --subset and --top-k are of logits, and --%s of hidden states",
			args->is_table ? "sch" : "head");
	return EXIT_DONE;
}

/* EXIT_DONE with args->rows.path NULL: help was shown. */
static int read_args(int argc, char **argv, struct args *args)
{
	static const struct option options[] = {
		{"device", required_argument, NULL, 'd'},
		{"format", required_argument, NULL, 'f'},
		{"vocab", required_argument, NULL, 'v'},
		{"stride", required_argument, NULL, 's'},
		{"tokens", required_argument, NULL, 't'},
		{"top-k", required_argument, NULL, 'k'},
		{"subset", required_argument, NULL, 'u'},
		{"head", required_argument, NULL, 'e'},
		{"sch", required_argument, NULL, 'c'},
		{"logp", required_argument, NULL, 'l'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	static const struct command_options all = {"score", help, ":d:h", options, read_option};
	bool wants_help;
	const int status = read_options(&all, argc, argv, args, &wants_help);

	if (status || wants_help)
		return status;
	if (optind == argc)
		return misused("score", "a FILE of rows is needed; see veto score --help");
	if (optind + 1 < argc)
		return misused("score", "unexpected argument '%s'", argv[optind + 1]);
	args->rows.path = argv[optind];
	if (args->devices == 0)
		args->uri[args->devices++] = "cpu:";
	return check_args(args);
}

static void close_lanes(struct lane *lane, uint32_t lanes)
{
	for (uint32_t i = 0; lane && i < lanes; i++)
		veto_device_close(lane[i].dev);
	free(lane);
}

static int open_lanes(const struct args *args, struct lane **out)
{
	struct lane *lane = calloc(args->devices, sizeof(*lane));
	char why[VETO_WHY_MAX];

	if (!lane)
		return failed("score", "out of memory");
	for (uint32_t i = 0; i < args->devices; i++) {
		int err = veto_device_open(args->uri[i], &lane[i].dev, why);

		if (err) {
			close_lanes(lane, args->devices);
			return err == -EINVAL ? misused("score", "%s", why) : failed("score", "%s", why);
		}
		if (args->head && veto_device_load(lane[i].dev, args->head, &lane[i].head, why)) {
			close_lanes(lane, args->devices);
			return failed("score", "%s", why);
		}
	}
	*out = lane;
	return EXIT_DONE;
}

static int fail_batch(const struct lane *lane, int err, uint32_t first)
{
	const char *trouble = veto_device_trouble(lane->dev);

	return failed("score", "row %u and later: %s: %s%s%s", first, veto_device_info(lane->dev)->uri, strerror(-err),
		*trouble ? ": " : "", trouble);
}

/* Every lane scores the batch at the same time. */
static int score_batch(struct lane *lane, uint32_t lanes, const struct veto_rows *batch, uint32_t first)
{
	struct veto_rows rows = *batch;
	struct veto_done done;
	int err;

	for (uint32_t i = 0; i < lanes; i++) {
		struct veto_results out = {.score = lane[i].score,
			.record = lane[i].record,
			.top_id = lane[i].top_id,
			.subset_q31 = lane[i].subset_q31,
			.head_q16 = lane[i].head_q16};

		rows.head = lane[i].head;
		err = veto_device_submit(lane[i].dev, &rows, &out, i);
		if (err)
			return fail_batch(&lane[i], err, first);
	}
	for (uint32_t i = 0; i < lanes; i++) {
		err = veto_device_reap(lane[i].dev, -1, &done);
		if (err || done.status)
			return fail_batch(&lane[i], err ? err : done.status, first);
	}
	return EXIT_DONE;
}

static unsigned print_batch(
	const struct args *args, const struct lane *lane, const struct veto_rows *rows, uint32_t first)
{
	const struct veto_head_info *head = args->rows.head;
	unsigned differences = 0;

	for (uint32_t i = 0; i < rows->rows; i++) {
		struct scored_row at[DEVICES_MAX];

		for (uint32_t j = 0; j < args->devices; j++)
			at[j] = (struct scored_row){rows, first + i, &lane[j].score[i], &lane[j].record[i],
				&lane[j].top_id[i * rows->top_k], &lane[j].subset_q31[i * rows->subset_tokens], head,
				&lane[j].head_q16[i * (head ? head->outputs : 0)]};
		if (args->is_json)
			score_print_json(&at[0]);
		else
			score_print_table(&at[0]);
		for (uint32_t j = 1; j < args->devices; j++)
			differences += score_print_differences(stdout, args->is_json, &at[0],
				veto_device_info(lane[0].dev)->uri, &at[j], veto_device_info(lane[j].dev)->uri);
	}
	return differences;
}

static int score_file(const struct args *args, struct lane *lane, struct veto_rows all)
{
	struct veto_rows batch = all;
	unsigned differences = 0;

	if (!args->is_json)
		score_print_table_head(&all, args->rows.head);
	for (uint32_t i = 0; i < all.rows; i += batch.rows) {
		int status;

		batch.data = (const char *)all.data + i * all.stride_bytes;
		batch.token = all.token ? all.token + i : NULL;
		batch.token_logp_q20 = all.token_logp_q20 ? all.token_logp_q20 + i : NULL;
		batch.rows = all.rows - i < BATCH_ROWS ? all.rows - i : BATCH_ROWS;
		status = score_batch(lane, args->devices, &batch, i);
		if (status)
			return status;
		differences += print_batch(args, lane, &batch, i);
		if (!isatty(STDOUT_FILENO))
			say_progress("%u of %u rows", i + batch.rows, all.rows);
	}
	end_progress();
	if (differences)
		return failed("score", "%u differences between devices", differences);
	return EXIT_DONE;
}

/* The head that --head or --sch names. */
static int open_head(struct args *args)
{
	char why[VETO_WHY_MAX];

	if (!args->head_path)
		return EXIT_DONE;
	if (veto_head_open(args->head_path, &args->head, why))
		return misused("score", "%s", why);
	args->rows.head = veto_head_info(args->head);
	if (args->rows.head->statistics > 0)
		return misused("score",
			"%s: its reward counts on %u statistics of token scores, and rows of states have none: "
			"veto run and veto evaluate give it",
			args->head_path, args->rows.head->statistics);
	if (args->is_table == (args->rows.head->kind == VETO_HEAD_SCH))
		return EXIT_DONE;
	return misused("score", "%s: it is a %s", args->head_path,
		args->is_table ? "head, and no table: use --head" : "table: use --sch");
}

/* Score the file on the open devices. */
static int score_all(struct args *args, struct lane *lane)
{
	struct rows_file file;
	char why[VETO_WHY_MAX];
	int status = EXIT_DONE;

	if (rows_file_open(&args->rows, &file, why))
		return misused("score", "%s", why);
	file.rows.top_k = args->top_k >= 0 ? (uint32_t)args->top_k : TOP_DEFAULT;
	file.rows.subset = args->subset;
	file.rows.subset_tokens = args->subset_tokens;
	for (uint32_t i = 0; i < args->subset_tokens && !status; i++)
		if (args->subset[i] >= file.rows.cols)
			status = misused("score", "--subset: token id %u is not below the vocabulary of %u",
				args->subset[i], file.rows.cols);
	if (!status)
		status = score_file(args, lane, file.rows);
	rows_file_close(&file);
	return status;
}

int cmd_score(int argc, char **argv)
{
	struct args args = {.rows.format = -1, .top_k = -1};
	struct lane *lane = NULL;
	int status;

	status = read_args(argc, argv, &args);
	if (status || !args.rows.path)
		return status ? status : close_stdout("score", EXIT_DONE);
	status = open_head(&args);
	if (!status)
		status = open_lanes(&args, &lane);
	if (!status)
		status = score_all(&args, lane);
	close_lanes(lane, args.devices);
	veto_head_close(args.head);
	return close_stdout("score", status);
}
