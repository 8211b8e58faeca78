/* SPDX-License-Identifier: Apache-2.0 */
/* How fast rows are scored, as ratios to reading the same memory and to other ways, all measured in turns in one run. */
#include "ways.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TARGET_COLS 151936
#define REPEATS_MAX 99

struct options {
	const char *json, *python;
	size_t mib;
	uint32_t repeats;
};

/* Seconds a row, by contender and repeat. */
struct samples {
	double seconds[CONTENDERS_MAX][REPEATS_MAX];
};

struct spread {
	double median, low, high;
};

/* All ways give the log-sum-exp of the first row that the reference gives, to a part in a thousand. */
static void check_lse(const char *name, double lse, const struct rows *r)
{
	struct veto_rows rows = {.rows = 1, .cols = r->cols, .data = r->data[VETO_FP32], .top_k = 2};
	struct fx1_top top[2];
	struct veto_record record;
	struct veto_score score;
	double want;

	fx1_row(rows.data, VETO_FP32, r->cols, 2, &record, top);
	fx1_finish(&rows, 0, &record, top, &score, NULL);
	want = (double)score.field[VETO_LSE].low / 1048576;
	if (fabs(lse - want) < 1e-3 * want)
		return;
	fprintf(stderr, "bench_score: %s: log-sum-exp %g, not %g\n", name, lse, want);
	exit(1);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Of num / den, repeat by repeat. */
static struct spread ratio(const double *num, const double *den, uint32_t repeats)
{
	double v[REPEATS_MAX];

	for (uint32_t i = 0; i < repeats; i++)
		v[i] = num[i] / (den ? den[i] : 1);
	qsort(v, repeats, sizeof(*v), compare);
	return (struct spread){v[repeats / 2], v[0], v[repeats - 1]};
}

static int find(const struct contender *list, uint32_t n, const char *name, enum veto_format format, uint32_t threads)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0 && list[i].format == format && list[i].threads == threads)
			return (int)i;
	return -1;
}

/* The faster of both ways to read, repeat by repeat: what scoring the fp32 rows could take at best. */
static void find_read(const struct contender *list, uint32_t n, const struct samples *s, uint32_t threads,
	uint32_t repeats, double *out)
{
	int a = find(list, n, "read", VETO_FP32, threads), b = find(list, n, "read, prefetching", VETO_FP32, threads);

	for (uint32_t i = 0; i < repeats; i++)
		out[i] = fmin(s->seconds[a][i], s->seconds[b][i]);
}

static void show(FILE *json, const struct contender *c, uint32_t cols, const double *seconds, const double *read,
	uint32_t repeats)
{
	const double gb = 1e-9 * (double)cols * (double)veto_format_bytes(c->format);
	const double share = (double)veto_format_bytes(c->format) / 4; /* of the fp32 rows' bytes */
	struct spread t = ratio(seconds, NULL, repeats), r = ratio(read, seconds, repeats);

	printf("%-18s %-5s %u  %9.1f  %9.0f  %6.2f   %5.3f (%5.3f..%5.3f)\n", c->name, veto_format_names[c->format],
		c->threads, 1e6 * t.median, 1 / t.median, gb / t.median, share * r.median, share * r.low,
		share * r.high);
	if (!json)
		return;
	fprintf(json,
		"{\"bench\": \"score\", \"name\": \"%s\", \"format\": \"%s\", \"cols\": %u, \"threads\": %u, "
		"\"repeats\": %u, \"us_a_row\": {\"median\": %.3f, \"low\": %.3f, \"high\": %.3f}, "
		"\"rows_a_second\": %.1f, \"gb_a_second\": %.3f, "
		"\"of_read\": {\"median\": %.4f, \"low\": %.4f, \"high\": %.4f}}\n",
		c->name, veto_format_names[c->format], cols, c->threads, repeats, 1e6 * t.median, 1e6 * t.low,
		1e6 * t.high, 1 / t.median, gb / t.median, share * r.median, share * r.low, share * r.high);
}

/* A ratio of speeds: seconds of den to seconds of num. */
struct target {
	const char *what;
	const char *num, *den; /* names of contenders; den NULL: reading */
	enum veto_format num_format, den_format;
	uint32_t num_threads, den_threads;
	double bar;
	bool is_at_most;
};

static const struct target targets[] = {
	{"avx512 fp32 to read bandwidth", "avx512", NULL, VETO_FP32, VETO_FP32, 1, 1, 0.70, false},
	{"avx512 fp16 to fp32, rows", "avx512", "avx512", VETO_FP16, VETO_FP32, 1, 1, 0.85, false},
	{"avx512 bf16 to fp32, rows", "avx512", "avx512", VETO_BF16, VETO_FP32, 1, 1, 0.85, false},
	{"time of avx2 to avx512", "avx512", "avx2", VETO_FP32, VETO_FP32, 1, 1, 2.5, true},
	{"device, bf16, two threads to one", "device", "device", VETO_BF16, VETO_BF16, 2, 1, 1.6, false},
	{"avx2 fp32, two threads to one", "avx2", "avx2", VETO_FP32, VETO_FP32, 2, 1, 1.6, false},
	{"avx512 to C with -O3", "avx512", "C, -O3", VETO_FP32, VETO_FP32, 1, 1, 1.8, false},
	{"avx512 to C with -Ofast", "avx512", "C, -Ofast", VETO_FP32, VETO_FP32, 1, 1, 1.8, false},
	{"avx512 to C with -Ofast, 512 bits", "avx512", "C, -Ofast 512", VETO_FP32, VETO_FP32, 1, 1, 1.8, false},
	{"avx512 to C with -Ofast, 512 bits, two threads each", "avx512", "C, -Ofast 512", VETO_FP32, VETO_FP32, 2, 2,
		1.8, false},
	{"avx512 to numpy", "avx512", "numpy", VETO_FP32, VETO_FP32, 1, 1, 5, false},
	{"avx512 to torch", "avx512", "torch", VETO_FP32, VETO_FP32, 1, 1, 5, false},
};

static void show_target(FILE *json, const struct target *t, struct spread r)
{
	bool is_met = t->is_at_most ? r.median <= t->bar : r.median >= t->bar;

	printf("%s, V=%d: %.2f (%.2f..%.2f; target: at %s %.2f) %s\n", t->what, TARGET_COLS, r.median, r.low, r.high,
		t->is_at_most ? "most" : "least", t->bar, is_met ? "met" : "MISSED");
	if (json)
		fprintf(json,
			"{\"bench\": \"score\", \"target\": \"%s\", \"cols\": %d, \"median\": %.4f, \"low\": %.4f, "
			"\"high\": %.4f, \"bar\": %.2f, \"is_met\": %s}\n",
			t->what, TARGET_COLS, r.median, r.low, r.high, t->bar, is_met ? "true" : "false");
}

static void show_targets(FILE *json, const struct contender *list, uint32_t n, const struct samples *s,
	const double *read, uint32_t repeats)
{
	for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
		const struct target *t = &targets[i];
		int num = find(list, n, t->num, t->num_format, t->num_threads);
		int den = t->den ? find(list, n, t->den, t->den_format, t->den_threads) : 0;

		if (num >= 0 && den >= 0)
			show_target(json, t, ratio(t->den ? s->seconds[den] : read, s->seconds[num], repeats));
	}
}

/* A contender of one thread is followed by the same one of two. */
static void show_scaling(const struct contender *list, uint32_t n, const struct samples *s, uint32_t repeats)
{
	for (uint32_t i = 0; i + 1 < n; i++)
		if (list[i].threads == 1 && list[i + 1].threads == 2) {
			struct spread r = ratio(s->seconds[i], s->seconds[i + 1], repeats);

			printf("two threads to one, %s %s: %.2f (%.2f..%.2f)\n", list[i].name,
				veto_format_names[list[i].format], r.median, r.low, r.high);
		}
}

static void show_all(
	FILE *json, const struct contender *list, uint32_t n, const struct samples *s, uint32_t cols, uint32_t repeats)
{
	double read[THREADS][REPEATS_MAX];

	for (uint32_t t = 0; t < THREADS; t++)
		find_read(list, n, s, t + 1, repeats, read[t]);
	printf("\nV = %u; row() with k = %d; device: whole scores, 64 rows a job; of read: bandwidth to the better reading with as many threads, median "
	       "(min..max)\n%-18s %-5s %s  %9s  %9s  %6s   %s\n",
		cols, TOP_K, "", "", "threads", "us a row", "rows/s", "GB/s", "of read");
	for (uint32_t i = 0; i < n; i++)
		show(json, &list[i], cols, s->seconds[i], read[list[i].threads - 1], repeats);
	show_scaling(list, n, s, repeats);
	if (cols == TARGET_COLS)
		show_targets(json, list, n, s, read[0], repeats);
}

static uint32_t add_peers(struct contender *list, uint32_t n, const struct peers *p)
{
	const struct contender peer = {.threads = 1, .share = 1};

	if (p->has_numpy) {
		list[n] = peer;
		list[n++].name = "numpy";
	}
	if (p->has_torch) {
		list[n] = peer;
		list[n++].name = "torch";
	}
	return n;
}

static void measure(const struct options *o, FILE *json, const struct rows *r, struct peers *p)
{
	static struct samples s;
	struct contender list[CONTENDERS_MAX];
	uint32_t n = add_peers(list, list_contenders(list), p);
	double lse;

	for (uint32_t repeat = 0; repeat < o->repeats; repeat++) {
		if (isatty(STDERR_FILENO))
			fprintf(stderr, "\rV = %u, repeat %u of %u ", r->cols, repeat + 1, o->repeats);
		for (uint32_t i = 0; i < n; i++) {
			if (list[i].work) {
				s.seconds[i][repeat] = time_rows(&list[i], r, repeat);
				continue;
			}
			s.seconds[i][repeat] = ask_peer(p, list[i].name, r->cols, &lse);
			check_lse(list[i].name, lse, r);
		}
	}
	for (uint32_t i = 0; i < n; i++)
		if (list[i].softmax) {
			float out[4];

			list[i].softmax((const float *)r->data[VETO_FP32], r->cols, out);
			check_lse(list[i].name, (double)out[0], r);
		}
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%40s\r", "");
	show_all(json, list, n, &s, r->cols, o->repeats);
}

static void usage(FILE *f)
{
	fprintf(f, "usage: bench_score [--json FILE] [--mib N] [--repeats N] [--python PROGRAM] [--quick]\n"
		   "  --json FILE       also write results there, one object a line\n"
		   "  --mib N           MiB of fp32 rows, and half of it in each other format: 256..16384 (1024)\n"
		   "  --repeats N       1..99 (9); what is shown is the median\n"
		   "  --python PROGRAM  runs " PEERS " (python3)\n"
		   "  --quick           3 repeats, of 512 MiB\n");
}

static bool read_count(const char *text, unsigned long low, unsigned long high, unsigned long *out)
{
	char *end;

	if (!text)
		return false;
	errno = 0;
	*out = strtoul(text, &end, 10);
	return !errno && end != text && !*end && text[0] != '-' && *out >= low && *out <= high;
}

static bool read_options(char **arg, struct options *o)
{
	unsigned long v;

	for (; *arg; arg++) {
		if (strcmp(*arg, "--quick") == 0) {
			o->repeats = 3;
			o->mib = 512;
		} else if (strcmp(*arg, "--json") == 0 && arg[1]) {
			o->json = *++arg;
		} else if (strcmp(*arg, "--python") == 0 && arg[1]) {
			o->python = *++arg;
		} else if (strcmp(*arg, "--mib") == 0 && read_count(arg[1], 256, 16384, &v)) {
			o->mib = v;
			arg++;
		} else if (strcmp(*arg, "--repeats") == 0 && read_count(arg[1], 1, REPEATS_MAX, &v)) {
			o->repeats = (uint32_t)v;
			arg++;
		} else {
			fprintf(stderr, "bench_score: can't use %s\n", *arg);
			return false;
		}
	}
	return true;
}

static void show_load(void)
{
	double load;

	if (getloadavg(&load, 1) == 1)
		printf("load of the machine, over a minute: %.2f\n", load);
}

static void run(const struct options *o, FILE *json)
{
	static const uint32_t cols[] = {49152, 151936, 262144};
	const size_t logits = (o->mib << 20) / 4;
	struct rows r;
	struct peers p = {0};

	alloc_rows(&r, logits);
	start_peers(&p, o->python, r.data[VETO_FP32]);
	printf("%zu MiB of fp32 rows and half of it in each other format, %u repeats\n", o->mib, o->repeats);
	show_load();
	printf("%s%s", p.has_numpy ? "" : "numpy: not installed\n", p.has_torch ? "" : "torch: not installed\n");
	for (size_t i = 0; i < sizeof(cols) / sizeof(*cols); i++) {
		r.cols = cols[i];
		r.rows = (uint32_t)(logits / cols[i]);
		measure(o, json, &r, &p);
	}
	show_load();
	stop_peers(&p);
	free_rows(&r);
}

int main(int argc, char **argv)
{
	struct options o = {.python = "python3", .mib = 1024, .repeats = 9};
	FILE *json = NULL;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		return 0;
	}
	if (!read_options(argv + 1, &o)) {
		usage(stderr);
		return 2;
	}
	if (o.json) {
		json = fopen(o.json, "w");
		if (!json)
			die(o.json);
	}
	run(&o, json);
	if (json && fclose(json) != 0)
		die(o.json);
	return 0;
}
