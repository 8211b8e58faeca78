/* SPDX-License-Identifier: Apache-2.0 */
/* bench_xrt JSON URI: what the path to a card costs, emulated or not: start, a launch, rows, bytes. */
#include "clock.h"
#include "head_make.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REPEATS 7
#define STARTS_AIM_S 1.0

static FILE *json;
static const char *uri;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "bench_xrt: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

static struct veto_device *open_device(void)
{
	struct veto_device *dev;
	char why[VETO_WHY_MAX];

	if (veto_device_open(uri, &dev, why))
		die(uri, why);
	return dev;
}

static void score(struct veto_device *dev, const float *data, uint32_t rows, uint32_t cols, struct veto_record *record)
{
	const struct veto_rows r = {
		.rows = rows, .cols = cols, .stride_bytes = cols * sizeof(*data), .data = data, .top_k = 20};
	const struct veto_results out = {.record = record};

	if (veto_device_score(dev, &r, &out))
		die(uri, "rows could not be scored");
}

static int compare(const void *a, const void *b)
{
	return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

/* Median and spread of REPEATS numbers. */
static void report(const char *what, const char *unit, double *value, const char *note)
{
	qsort(value, REPEATS, sizeof(*value), compare);
	printf("%-44s %12.4g %-6s (%.4g..%.4g)%s\n", what, value[REPEATS / 2], unit, value[0], value[REPEATS - 1],
		note);
	fprintf(json,
		"{\"bench\":\"xrt\",\"device\":\"%s\",\"what\":\"%s\",\"unit\":\"%s\",\"median\":%.6g,\"low\":%.6g,\"high\":%.6g}\n",
		uri, what, unit, value[REPEATS / 2], value[0], value[REPEATS - 1]);
}

static void time_starts(const float *data)
{
	double seconds[REPEATS];
	char note[64];

	for (int i = 0; i < REPEATS; i++) {
		uint64_t start = clock_ns();
		struct veto_device *dev = open_device();
		struct veto_record record;

		score(dev, data, 1, 1024, &record);
		seconds[i] = (double)(clock_ns() - start) / 1e9;
		veto_device_close(dev);
	}
	snprintf(note, sizeof(note), " aim: below %.0f s", STARTS_AIM_S);
	report("open to first record", "s", seconds, note);
}

static void time_launches(struct veto_device *dev, const float *data)
{
	double us[REPEATS];
	struct veto_record record;

	for (int i = 0; i < REPEATS; i++) {
		uint64_t start = clock_ns();

		for (int j = 0; j < 50; j++)
			score(dev, data, 1, 16, &record);
		us[i] = (double)(clock_ns() - start) / 1e3 / 50;
	}
	report("a launch of one row of 16 logits", "us", us, "");
}

static void time_rows(struct veto_device *dev, const float *data, uint32_t cols)
{
	enum { ROWS = 32 };
	struct veto_record record[ROWS];
	double rate[REPEATS];
	char what[64];

	for (int i = 0; i < REPEATS; i++) {
		uint64_t start = clock_ns();

		score(dev, data, ROWS, cols, record);
		rate[i] = ROWS * 1e9 / (double)(clock_ns() - start);
	}
	snprintf(what, sizeof(what), "fp32 rows, V = %u, 32 a job", cols);
	report(what, "rows/s", rate, "");
}

/* Cards that open, score eight rows and close, one after the other. */
static void count_runs(const float *data)
{
	enum { RUNS = 100, ROWS = 8 };
	struct veto_record record[ROWS];
	double slowest = 0;
	int runs = 0;

	for (int i = 0; i < RUNS; i++) {
		const struct veto_rows r = {
			.rows = ROWS, .cols = 1024, .stride_bytes = 1024 * sizeof(*data), .data = data, .top_k = 20};
		const struct veto_results out = {.record = record};
		const uint64_t start = clock_ns();
		struct veto_device *dev = NULL;
		bool is_right = veto_device_open(uri, &dev, NULL) == 0 && veto_device_score(dev, &r, &out) == 0;
		double seconds;

		for (int j = 0; j < ROWS && is_right; j++)
			is_right = record[j].cnt == 1024;
		veto_device_close(dev);
		runs += is_right;
		seconds = (double)(clock_ns() - start) / 1e9;
		slowest = seconds > slowest ? seconds : slowest;
	}
	printf("%-44s %8d of %d, the slowest in %.3f s\n", "runs of open, 8 rows, close: right", runs, RUNS, slowest);
	fprintf(json,
		"{\"bench\":\"xrt\",\"device\":\"%s\",\"what\":\"runs\",\"right\":%d,\"of\":%d,\"slowest_s\":%.3f}\n",
		uri, runs, RUNS, slowest);
}

/* What crosses the link for a row: its beats, a job, a result; and the trailer of its launch. */
static void print_bytes(uint32_t cols, enum veto_format format)
{
	size_t in = (cols * veto_format_bytes(format) + 63) / 64 * 64 + sizeof(struct veto_logits_job);

	printf("bytes of a %s row, V = %-6u                 %zu to the card, %zu back\n", veto_format_names[format],
		cols, in, sizeof(struct veto_logits_result));
	fprintf(json,
		"{\"bench\":\"xrt\",\"what\":\"bytes a row\",\"format\":\"%s\",\"vocab\":%u,\"in\":%zu,\"out\":%zu}\n",
		veto_format_names[format], cols, in, sizeof(struct veto_logits_result));
}

/* A head of 16-bit weights, cols to 2, of which the card holds the weights. */
static struct veto_head *make_head(uint32_t cols)
{
	float *w = calloc(2, cols * sizeof(*w));
	const struct tensor weight = {.name = "w", .type = "F32", .dims = 2, .shape = {2, cols}, .data = w};
	const struct head_source source = {&weight, NULL};
	const struct head_texts texts = {"token-prm", "softmax:1", "min", "final_norm", "any", "", NULL};
	char path[] = "/tmp/veto_bench.XXXXXX", why[VETO_WHY_MAX];
	struct veto_head *head;

	for (uint32_t i = 0; w && i < 2 * cols; i++)
		w[i] = (float)(i % 7) / 100 - 0.03f;
	close(mkstemp(path));
	if (!w || head_make_dense(path, &texts, &source, 1, VETO_INT16, why) || veto_head_open(path, &head, why))
		die(path, w ? why : "out of memory");
	unlink(path);
	free(w);
	return head;
}

static void time_states(struct veto_device *dev, const float *data, uint32_t cols)
{
	enum { STATES = 64 };
	struct veto_head *head = make_head(cols);
	struct veto_rows r = {
		.kind = VETO_HIDDEN, .rows = STATES, .cols = cols, .stride_bytes = cols * sizeof(*data), .data = data};
	struct veto_score score[STATES];
	double rate[REPEATS];
	char what[64], why[VETO_WHY_MAX];

	if (veto_device_load(dev, head, &r.head, why))
		die(uri, why);
	for (int i = 0; i < REPEATS; i++) {
		uint64_t start = clock_ns();

		if (veto_device_score(dev, &r, &(struct veto_results){.score = score}))
			die(uri, "states could not be scored");
		rate[i] = STATES * 1e9 / (double)(clock_ns() - start);
	}
	snprintf(what, sizeof(what), "fp32 states, D = %u to 2, int16, 64 a job", cols);
	report(what, "states/s", rate, "");
	veto_device_unload(dev, r.head);
	veto_head_close(head);
}

/* What crosses the link for a token: its logits, or its hidden state. */
static void print_state_bytes(uint32_t vocab, uint32_t cols)
{
	const size_t row =
		(vocab * 2 + 63) / 64 * 64 + sizeof(struct veto_logits_job) + sizeof(struct veto_logits_result);
	const size_t state =
		(cols * 2 + 63) / 64 * 64 + sizeof(struct veto_hidden_job) + sizeof(struct veto_hidden_result);

	printf("bytes of a token, fp16, both ways              logits V = %u: %zu, state D = %u: %zu, %.0f times fewer\n",
		vocab, row, cols, state, (double)row / (double)state);
	fprintf(json,
		"{\"bench\":\"xrt\",\"what\":\"bytes a token\",\"vocab\":%u,\"cols\":%u,\"logits\":%zu,\"state\":%zu}\n",
		vocab, cols, row, state);
}

int main(int argc, char **argv)
{
	static const uint32_t cols[] = {49152, 151936};
	float *data = calloc(32, 151936 * sizeof(*data));
	struct veto_device *dev;

	if (argc != 3 || !data || !(json = fopen(argv[1], "ae"))) {
		fprintf(stderr, "usage: bench_xrt JSON URI\n");
		return 2;
	}
	uri = argv[2];
	for (size_t i = 0; i < (size_t)32 * 151936; i++)
		data[i] = (float)((i * 2654435761u >> 8) % 4096) / 256;
	printf("%s\n", uri);
	time_starts(data);
	count_runs(data);
	dev = open_device();
	time_launches(dev, data);
	for (size_t i = 0; i < 2; i++)
		time_rows(dev, data, cols[i]);
	time_states(dev, data, 896);
	time_states(dev, data, 3584);
	veto_device_close(dev);
	for (size_t i = 0; i < 2 && strncmp(uri, "xrt:", 4) == 0; i++)
		for (int f = VETO_FP32; f <= VETO_FP16; f++)
			print_bytes(cols[i], (enum veto_format)f);
	if (strcmp(uri, "cpu:") == 0) {
		print_state_bytes(49152, 576);
		print_state_bytes(151936, 896);
		print_state_bytes(151936, 3584);
	}
	free(data);
	return fclose(json) ? 1 : 0;
}
