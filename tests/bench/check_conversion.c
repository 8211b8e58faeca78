/* SPDX-License-Identifier: Apache-2.0 */
/* Checks step 2 of FX1 on every fp32 bit pattern: by integers, by floats, as kernels do it, and the sums of each cpu:
 * variant. */
#include "cpu.h"
#include "fx1_step.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATTERNS (1ULL << 32)
#define THREADS 2

static atomic_ullong done;
static atomic_bool has_failed;
static uint64_t stride = VETO_CHUNK_LOGITS; /* from one chunk of patterns to the next */

/* The rounding mode is to nearest. */
static int32_t float_y(float x)
{
	float product = x * VETO_LOG2E_Q16;

	return (int32_t)rintf(product);
}

/* Steps 1 and 2 of kernels. */
static bool check_step(float x, enum fx1_kind kind, int32_t y)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return fx1_step_is_nan(bits) == (kind == FX1_NAN) && fx1_step_is_low(bits) == (kind == FX1_MASKED) &&
	       fx1_step_is_saturated(bits) == (kind == FX1_SATURATED) && (kind != FX1_PLAIN || fx1_step_y(bits) == y) &&
	       fx1_step_key(bits) == fx1_key(x);
}

static bool check_forms(const float *x, struct veto_record *sums)
{
	*sums = (struct veto_record){.ymax = INT32_MIN};
	for (uint32_t i = 0; i < VETO_CHUNK_LOGITS; i++) {
		enum fx1_kind kind = fx1_classify(x[i]);
		float limited = kind == FX1_SATURATED ? VETO_LOGIT_LIMIT : x[i];
		int32_t y;

		sums->n_nan += kind == FX1_NAN;
		sums->n_sat += kind == FX1_SATURATED;
		y = kind == FX1_NAN || kind == FX1_MASKED ? 0 : fx1_y(limited);
		if (!check_step(x[i], kind, y)) {
			printf("%a: kernels take it for something else\n", (double)x[i]);
			return false;
		}
		if (kind == FX1_NAN || kind == FX1_MASKED)
			continue;
		if (y != float_y(limited)) {
			printf("%a: %d by integers, %d by floats\n", (double)limited, y, float_y(limited));
			return false;
		}
		sums->cnt++;
		sums->sumy += y;
		if (y > sums->ymax)
			sums->ymax = y;
	}
	return true;
}

static bool check_isa(const struct cpu_isa *isa, const float *x, const struct veto_record *want)
{
	struct veto_record got;
	struct fx1_top top[2];

	isa->row(x, VETO_FP32, VETO_CHUNK_LOGITS, 2, &got, top);
	if (got.cnt == want->cnt && got.n_nan == want->n_nan && got.n_sat == want->n_sat && got.ymax == want->ymax &&
		got.sumy == want->sumy)
		return true;
	printf("%s, 1024 patterns from %a: cnt %u, not %u; n_nan %u, not %u; n_sat %u, not %u; ymax %d, not %d; "
	       "sumy %lld, not %lld\n",
		isa->name, (double)x[0], got.cnt, want->cnt, got.n_nan, want->n_nan, got.n_sat, want->n_sat, got.ymax,
		want->ymax, (long long)got.sumy, (long long)want->sumy);
	return false;
}

static bool check_chunk(uint32_t first)
{
	float x[VETO_CHUNK_LOGITS];
	struct veto_record sums;

	for (uint32_t i = 0; i < VETO_CHUNK_LOGITS; i++) {
		uint32_t bits = first + i;

		memcpy(&x[i], &bits, sizeof(bits));
	}
	if (!check_forms(x, &sums))
		return false;
	for (size_t i = 0; cpu_isas[i]; i++)
		if (cpu_isas[i]->is_supported() && !check_isa(cpu_isas[i], x, &sums))
			return false;
	return true;
}

static void *check_share(void *arg)
{
	for (uint64_t at = *(const uint64_t *)arg; at < PATTERNS && !has_failed; at += THREADS * stride) {
		if (!check_chunk((uint32_t)at))
			has_failed = true;
		done += stride;
	}
	return NULL;
}

static void show_progress(void)
{
	while (isatty(STDERR_FILENO) && !has_failed && done < PATTERNS) {
		fprintf(stderr, "\r%3.0f %%", 100.0 * (double)done / (double)PATTERNS);
		usleep(200000);
	}
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r      \r");
}

/* All patterns of the other formats are one row. */
static bool check_halves(enum veto_format format)
{
	static uint16_t row[65536];
	struct veto_record want, got;
	struct fx1_top want_top[VETO_TOP_MAX], top[VETO_TOP_MAX];
	bool is_right = true;

	for (uint32_t i = 0; i < 65536; i++)
		row[i] = (uint16_t)i;
	fx1_row(row, format, 65536, VETO_TOP_MAX, &want, want_top);
	for (size_t i = 0; cpu_isas[i]; i++) {
		if (!cpu_isas[i]->is_supported())
			continue;
		cpu_isas[i]->row(row, format, 65536, VETO_TOP_MAX, &got, top);
		if (memcmp(&want, &got, sizeof(want)) == 0 && memcmp(want_top, top, sizeof(top)) == 0)
			continue;
		printf("%s: the row of all %s patterns differs\n", cpu_isas[i]->name, veto_format_names[format]);
		is_right = false;
	}
	return is_right;
}

int main(int argc, char **argv)
{
	uint64_t start[THREADS];
	pthread_t thread[THREADS];

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "--quick") != 0)) {
		bool is_help = argc == 2 && strcmp(argv[1], "--help") == 0;

		fprintf(is_help ? stdout : stderr, "usage: check_conversion [--quick]  (one pattern in 64)\n");
		return is_help ? 0 : 2;
	}
	if (argc == 2)
		stride *= 64;
	for (uint64_t i = 0; i < THREADS; i++) {
		start[i] = i * stride;
		if (pthread_create(&thread[i], NULL, check_share, &start[i]) != 0) {
			fprintf(stderr, "check_conversion: no thread\n");
			return 1;
		}
	}
	show_progress();
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	if (has_failed || !check_halves(VETO_FP16) || !check_halves(VETO_BF16))
		return 1;
	printf("the three forms of step 2 agree on %llu patterns, and so do the sums of",
		PATTERNS * VETO_CHUNK_LOGITS / stride);
	for (size_t i = 0; cpu_isas[i]; i++)
		printf(" %s%s", cpu_isas[i]->name, cpu_isas[i]->is_supported() ? "" : " (not supported here)");
	printf("\n");
	return 0;
}
