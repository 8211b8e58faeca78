/* SPDX-License-Identifier: Apache-2.0 */
/* Ways through rows in this process, and the rows. */
#include "ways.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#define JOB_ROWS 64
#define ALIGNMENT ((size_t)2 << 20)

void softmax_o3(const float *l, uint32_t cols, float out[4]);
void softmax_ofast(const float *l, uint32_t cols, float out[4]);
void softmax_ofast512(const float *l, uint32_t cols, float out[4]);

static volatile float sink;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void die(const char *what)
{
	fprintf(stderr, "bench_score: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void work_isa(const struct contender *c, const char *data, uint32_t cols, uint32_t rows)
{
	struct fx1_top top[VETO_TOP_MAX];
	struct veto_record record;

	for (uint32_t i = 0; i < rows; i++)
		c->isa->row(data + i * cols * veto_format_bytes(c->format), c->format, cols, TOP_K, &record, top);
	sink = (float)record.s;
}

static void work_device(const struct contender *c, const char *data, uint32_t cols, uint32_t rows)
{
	static struct veto_score score[JOB_ROWS];
	struct veto_results out = {.score = score};
	struct veto_rows job = {.format = c->format, .cols = cols, .top_k = TOP_K};

	job.stride_bytes = cols * veto_format_bytes(c->format);
	for (uint32_t i = 0; i < rows; i += job.rows) {
		job.rows = rows - i < JOB_ROWS ? rows - i : JOB_ROWS;
		job.data = data + i * job.stride_bytes;
		errno = -veto_device_score(c->device, &job, &out);
		if (errno)
			die("veto_device_score");
	}
	sink = (float)score[0].has;
}

static void work_softmax(const struct contender *c, const char *data, uint32_t cols, uint32_t rows)
{
	float out[4] = {0};

	for (uint32_t i = 0; i < rows; i++)
		c->softmax((const float *)data + (size_t)i * cols, cols, out);
	sink = out[0];
}

#ifdef __x86_64__
#define READ_STEP 256
#define READ_AHEAD 1536 /* the best of 512 to 8192 on the machine where this was written */

__attribute__((target("avx512f"))) static void read_avx512(const char *at, size_t bytes, size_t ahead)
{
	__m512i sum[4] = {0};

	for (size_t i = 0; i + READ_STEP <= bytes; i += READ_STEP)
		for (size_t j = 0; j < 4; j++) {
			if (ahead > 0)
				_mm_prefetch(at + i + 64 * j + ahead, _MM_HINT_T1);
			sum[j] = _mm512_add_epi32(sum[j], _mm512_loadu_si512(at + i + 64 * j));
		}
	sink = (float)_mm512_reduce_add_epi32(
		_mm512_or_si512(_mm512_or_si512(sum[0], sum[1]), _mm512_or_si512(sum[2], sum[3])));
}

__attribute__((target("avx2"))) static void read_avx2(const char *at, size_t bytes, size_t ahead)
{
	__m256i sum[4] = {0};

	for (size_t i = 0; i + READ_STEP <= bytes; i += READ_STEP)
		for (size_t j = 0; j < 8; j++) {
			if (ahead > 0 && j % 2 == 0)
				_mm_prefetch(at + i + 32 * j + ahead, _MM_HINT_T1);
			sum[j % 4] =
				_mm256_add_epi32(sum[j % 4], _mm256_loadu_si256((const __m256i *)(at + i + 32 * j)));
		}
	sum[0] = _mm256_or_si256(_mm256_or_si256(sum[0], sum[1]), _mm256_or_si256(sum[2], sum[3]));
	sink = (float)(_mm256_extract_epi32(sum[0], 0) ^ _mm256_extract_epi32(sum[0], 5));
}

static void read_bytes(const char *at, size_t bytes, size_t ahead)
{
	if (__builtin_cpu_supports("avx512f"))
		read_avx512(at, bytes, ahead);
	else if (__builtin_cpu_supports("avx2"))
		read_avx2(at, bytes, ahead);
}
#else
#define READ_AHEAD 0

static void read_bytes(const char *at, size_t bytes, size_t ahead)
{
	uint64_t sum = 0, v;

	(void)ahead;
	for (size_t i = 0; i + sizeof(v) <= bytes; i += sizeof(v)) {
		memcpy(&v, at + i, sizeof(v));
		sum += v;
	}
	sink = (float)sum;
}
#endif

static void work_read(const struct contender *c, const char *data, uint32_t cols, uint32_t rows)
{
	read_bytes(data, rows * cols * veto_format_bytes(c->format), 0);
}

static void work_read_ahead(const struct contender *c, const char *data, uint32_t cols, uint32_t rows)
{
	read_bytes(data, rows * cols * veto_format_bytes(c->format), READ_AHEAD);
}

struct half {
	const struct contender *c;
	const char *data;
	uint32_t cols, rows;
};

static void *run_half(void *arg)
{
	const struct half *h = arg;

	h->c->work(h->c, h->data, h->cols, h->rows);
	return NULL;
}

double time_rows(const struct contender *c, const struct rows *r, uint32_t repeat)
{
	const size_t row_bytes = r->cols * veto_format_bytes(c->format);
	uint32_t rows = r->rows / c->share;
	const char *data = r->data[c->format] + (repeat % c->share) * rows * row_bytes;
	struct half second;
	pthread_t thread;
	double start;

	rows -= rows % c->threads;
	second = (struct half){c, data + rows / 2 * row_bytes, r->cols, rows / 2};
	start = now();
	if (c->threads == 1 || c->device) {
		c->work(c, data, r->cols, rows);
		return (now() - start) / rows;
	}
	errno = pthread_create(&thread, NULL, run_half, &second);
	if (errno)
		die("pthread_create");
	c->work(c, data, r->cols, rows / 2);
	pthread_join(thread, NULL);
	return (now() - start) / rows;
}

static uint32_t next_random(void)
{
	static uint64_t state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32);
}

static char *alloc(size_t bytes)
{
	char *p = aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);

	if (!p)
		die("memory");
	madvise(p, bytes, MADV_HUGEPAGE);
	return p;
}

static uint16_t to_bf16(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static uint16_t to_fp16(float x)
{
	_Float16 half = (_Float16)x;
	uint16_t bits;

	memcpy(&bits, &half, sizeof(bits));
	return bits;
}

/* Slices of a million of them, each from a random place on. */
static void fill(char *const data[VETO_FORMATS], size_t logits)
{
	enum { POOL = 1 << 20, SLICE = 1 << 14 };
	static float pool[POOL];
	static uint16_t half[POOL], brain[POOL];

	for (size_t i = 0; i < POOL; i++) {
		double u = (next_random() + 1.0) * 0x1p-32, v = next_random() * 0x1p-32;

		pool[i] = (float)(2.5 * sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
		half[i] = to_fp16(pool[i]);
		brain[i] = to_bf16(pool[i]);
	}
	for (size_t i = 0; i < logits; i += SLICE) {
		size_t from = next_random() % (POOL - SLICE), n = logits - i < SLICE ? logits - i : SLICE;

		memcpy(data[VETO_FP32] + 4 * i, pool + from, 4 * n);
		memcpy(data[VETO_FP16] + 2 * i, half + from, 2 * n);
		memcpy(data[VETO_BF16] + 2 * i, brain + from, 2 * n);
	}
}

void alloc_rows(struct rows *r, size_t logits)
{
	for (int f = 0; f < VETO_FORMATS; f++)
		r->data[f] = alloc(logits * veto_format_bytes((enum veto_format)f));
	fill(r->data, logits);
}

void free_rows(struct rows *r)
{
	for (int f = 0; f < VETO_FORMATS; f++)
		free(r->data[f]);
}

static uint32_t add(struct contender *list, uint32_t n, struct contender c)
{
	if (c.share == 0)
		c.share = 1;
	for (c.threads = 1; c.threads <= THREADS; c.threads++)
		list[n++] = c;
	return n;
}

/* The device, by itself and with two threads. */
static uint32_t add_device(struct contender *list, uint32_t n, enum veto_format format)
{
	for (uint32_t threads = 1; threads <= THREADS; threads++) {
		struct contender c = {
			.name = "device", .work = work_device, .format = format, .threads = threads, .share = 1};
		char uri[32], why[VETO_WHY_MAX];

		snprintf(uri, sizeof(uri), "cpu:threads=%u", threads);
		errno = -veto_device_open(uri, &c.device, why);
		if (errno)
			die(why);
		list[n++] = c;
	}
	return n;
}

uint32_t list_contenders(struct contender *list)
{
	uint32_t n = 0;

	n = add(list, n, (struct contender){.name = "read", .work = work_read});
	n = add(list, n, (struct contender){.name = "read, prefetching", .work = work_read_ahead});
	for (size_t i = 0; cpu_isas[i]; i++)
		for (enum veto_format f = 0; f < VETO_FORMATS && cpu_isas[i]->is_supported(); f++)
			n = add(list, n,
				(struct contender){.name = cpu_isas[i]->name,
					.work = work_isa,
					.isa = cpu_isas[i],
					.format = f,
					.share = cpu_isas[i] == &cpu_portable ? 8 : 1});
	n = add_device(list, n, VETO_FP32);
	n = add_device(list, n, VETO_BF16);
	n = add(list, n, (struct contender){.name = "C, -O3", .work = work_softmax, .softmax = softmax_o3, .share = 8});
	n = add(list, n,
		(struct contender){.name = "C, -Ofast", .work = work_softmax, .softmax = softmax_ofast, .share = 2});
	return add(list, n,
		(struct contender){
			.name = "C, -Ofast 512", .work = work_softmax, .softmax = softmax_ofast512, .share = 2});
}
