/* SPDX-License-Identifier: Apache-2.0 */
/* hw_report cycles: clocks that the RTL twins take for rows and states.
 * hw_report KERNELS.json KERNEL STAT.json BOARD.json...: by Yosys's `stat -json` of one of them, its share of each board.
 * Nothing of it is a figure of the HLS kernels, or of a card. */
#include "boards.h"
#include "description.h"
#include "kernels.h"
#include "param.h"
#include "rtl.h"
#include "veto_hw.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MHZ 300.0 /* of the boards' configurations; that the twin reaches it is not shown */
#define ROWS_MAX 2

enum kind { RANDOM, RISING };

static size_t row_bytes(uint32_t vocab, uint32_t format)
{
	return ((size_t)vocab * (format == VETO_KERNEL_FP32 ? 4 : 2) + 63) / 64 * 64;
}

/* Plain numbers, positive, so that their bits rise with them. */
static void fill(void *row, uint32_t vocab, uint32_t format, enum kind kind)
{
	for (uint32_t i = 0; i < vocab; i++) {
		const uint32_t part = kind == RISING ? i : i * 2654435761u >> 8;
		const uint32_t bits = format == VETO_KERNEL_FP32   ? 0x3f800000u + part % VETO_VOCAB_MAX * 64
				      : format == VETO_KERNEL_FP16 ? 0x0400u + part % VETO_VOCAB_MAX / 16
								   : 0x3f80u + part % VETO_VOCAB_MAX / 256;

		if (format == VETO_KERNEL_FP32)
			((uint32_t *)row)[i] = bits;
		else
			((uint16_t *)row)[i] = (uint16_t)bits;
	}
}

static uint64_t count_cycles(struct rtl *rtl, uint32_t vocab, uint32_t format, enum kind kind, uint32_t rows)
{
	static struct veto_logits_job job[ROWS_MAX] __attribute__((aligned(64)));
	static struct veto_beat results[ROWS_MAX * 5 + 1] __attribute__((aligned(64)));
	const size_t bytes = row_bytes(vocab, format);
	char *data = aligned_alloc(4096, (rows * bytes + 4095) / 4096 * 4096);
	struct veto_trailer trailer;
	const char *broken;

	if (!data)
		exit(EXIT_FAILURE);
	for (uint32_t i = 0; i < rows; i++) {
		fill(data + i * bytes, vocab, format, kind);
		job[i] = (struct veto_logits_job){
			.offset_bytes = i * bytes, .vocab = vocab, .format = format, .k = VETO_TOP_MAX};
	}
	broken = rtl_launch(rtl, (uint64_t[]){(uintptr_t)data, (uintptr_t)job, (uintptr_t)results}, rows);
	free(data);
	memcpy(&trailer, &results[rows * 5], sizeof(trailer));
	if (broken || trailer.rows_done != rows) {
		fprintf(stderr, "hw_report: %s\n", broken ? broken : "a row was not scored");
		exit(EXIT_FAILURE);
	}
	return rtl_cycles(rtl);
}

static void report_cycles(void)
{
	static const uint32_t vocabs[] = {32000, 49152, 128256, 151936, VETO_VOCAB_MAX};
	static const char *const formats[] = {
		[VETO_KERNEL_FP32] = "fp32", [VETO_KERNEL_FP16] = "fp16", [VETO_KERNEL_BF16] = "bf16"};
	struct rtl *rtl = rtl_new(RTL_VETO_SCORE_LOGITS, NULL);

	if (!rtl)
		exit(EXIT_FAILURE);
	printf("The RTL twin of veto_score_logits, in clocks from start to done; memory answers after %d.\n"
	       "Ideal: a beat of 64 bytes a clock.  Rows a second: of the second row, at %.0f MHz, were that reached.\n\n"
	       "format   vocab   ideal  one row         2nd row          rising   rows/s\n",
		RTL_LATENCY_CYCLES, MHZ);
	for (uint32_t f = 0; f < VETO_KERNEL_FORMATS; f++)
		for (size_t v = 0; v < sizeof(vocabs) / sizeof(*vocabs); v++) {
			const uint64_t ideal = row_bytes(vocabs[v], f) / 64;
			const uint64_t one = count_cycles(rtl, vocabs[v], f, RANDOM, 1);
			const uint64_t second = count_cycles(rtl, vocabs[v], f, RANDOM, 2) - one;
			const uint64_t rising = count_cycles(rtl, vocabs[v], f, RISING, 1);

			printf("%-6s  %6u  %6llu  %6llu (%4.1f%%)  %6llu (+%3.1f%%)  %6llu  %7.0f\n", formats[f],
				vocabs[v], (unsigned long long)ideal, (unsigned long long)one,
				100.0 * (double)ideal / (double)one, (unsigned long long)second,
				100.0 * (double)(second - ideal) / (double)ideal, (unsigned long long)rising,
				MHZ * 1e6 / (double)second);
		}
	rtl_free(rtl);
}

/* A launch of one job, of a head with so many rows or, with none, of a table's token. */
static uint64_t count_state_cycles(struct rtl *rtl, uint32_t cols, uint32_t rows, enum veto_weight_format format)
{
	static struct veto_hidden_job job __attribute__((aligned(64)));
	static struct veto_beat meta[1 + VETO_HEAD_OUTPUTS_MAX / 8] __attribute__((aligned(64)));
	static struct veto_beat results[6] __attribute__((aligned(64)));
	static char state[VETO_STATE_MAX * 2] __attribute__((aligned(4096)));
	const size_t bytes = ((size_t)(rows ? rows : 2) * cols * 2 + 4095) / 4096 * 4096 + 4096;
	char *weights = aligned_alloc(4096, bytes);
	struct veto_hidden_meta head = {.layers = 1, .rows = {rows}, .weights = {format}};
	struct veto_trailer trailer;
	const char *broken;

	if (!weights)
		exit(EXIT_FAILURE);
	memset(weights, 0, bytes);
	if (rows)
		memcpy(meta, &head, sizeof(head));
	job = (struct veto_hidden_job){.cols = cols,
		.format = VETO_KERNEL_BF16,
		.op = rows ? VETO_HIDDEN_HEAD : VETO_HIDDEN_TABLE24,
		.states = 1};
	broken = rtl_launch(rtl,
		(uint64_t[]){
			(uintptr_t)state, (uintptr_t)&job, (uintptr_t)results, (uintptr_t)meta, (uintptr_t)weights},
		1);
	free(weights);
	memcpy(&trailer, &results[5], sizeof(trailer));
	if (broken || trailer.rows_done != 1) {
		fprintf(stderr, "hw_report: %s\n", broken ? broken : "a state was not scored");
		exit(EXIT_FAILURE);
	}
	return rtl_cycles(rtl);
}

static void report_state_cycles(void)
{
	static const uint32_t sizes[] = {896, 1536, 3584, 8192};
	struct rtl *rtl = rtl_new(RTL_VETO_SCORE_HIDDEN, NULL);

	if (!rtl)
		exit(EXIT_FAILURE);
	printf("\nThe RTL twin of veto_score_hidden, one bf16 state, in clocks; a head's row has so many beats.\n\n"
	       "    D  weights  beats  a row more        1 row  64 rows  a table's token\n");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		for (int f = VETO_INT8; f <= VETO_INT16; f++) {
			const enum veto_weight_format format = (enum veto_weight_format)f;
			const uint32_t beats = (sizes[i] * (f == VETO_INT8 ? 1 : 2) + 63) / 64;
			const uint64_t few = count_state_cycles(rtl, sizes[i], 1, format);
			const uint64_t many = count_state_cycles(rtl, sizes[i], 64, format);
			const double more = (double)(many - few) / 63;

			printf("%5u  %-7s  %5u  %6.1f (%5.1f%%)  %5llu  %7llu", sizes[i],
				f == VETO_INT8 ? "int8" : "int16", beats, more, 100.0 * beats / more,
				(unsigned long long)few, (unsigned long long)many);
			if (f == VETO_INT16)
				printf("  %15llu", (unsigned long long)count_state_cycles(rtl, sizes[i], 0, format));
			printf("\n");
		}
	rtl_free(rtl);
}

/* --- Resources --- */

/* What a cell of Yosys's synth_xilinx takes; names may go on. */
static const struct {
	const char *cell;
	uint32_t lut, ff, halves_of_bram36, uram, dsp;
} costs[] = {
	{"LUT", 1, 0, 0, 0, 0},
	{"INV", 1, 0, 0, 0, 0},
	{"SRL", 1, 0, 0, 0, 0},
	{"RAM64M8", 8, 0, 0, 0, 0},
	{"RAM32M16", 8, 0, 0, 0, 0},
	{"RAM64M", 4, 0, 0, 0, 0},
	{"RAM32M", 4, 0, 0, 0, 0},
	{"RAM256X1D", 8, 0, 0, 0, 0},
	{"RAM128X1D", 4, 0, 0, 0, 0},
	{"RAM64X1D", 2, 0, 0, 0, 0},
	{"RAM32X1D", 2, 0, 0, 0, 0},
	{"FD", 0, 1, 0, 0, 0},
	{"RAMB36", 0, 0, 2, 0, 0},
	{"RAMB18", 0, 0, 1, 0, 0},
	{"URAM288", 0, 0, 0, 1, 0},
	{"DSP48E2", 0, 0, 0, 0, 1},
	/* Carries, wide multiplexers and buffers are no count of a data sheet. */
	{"CARRY", 0, 0, 0, 0, 0},
	{"MUXF", 0, 0, 0, 0, 0},
	{"BUFG", 0, 0, 0, 0, 0},
	{"IBUF", 0, 0, 0, 0, 0},
	{"OBUF", 0, 0, 0, 0, 0},
};

static int read_cells(const cJSON *root, void *arg, char *why)
{
	const cJSON *design = cJSON_GetObjectItemCaseSensitive(root, "design");
	const cJSON *cells = cJSON_GetObjectItemCaseSensitive(design, "num_cells_by_type"), *cell;
	struct board_resources *out = arg;
	uint32_t halves = 0;

	if (!cells)
		return param_fail(-EINVAL, why, "it lacks design.num_cells_by_type");
	cJSON_ArrayForEach(cell, cells)
	{
		size_t i = 0;

		while (i < sizeof(costs) / sizeof(*costs) &&
			strncmp(cell->string, costs[i].cell, strlen(costs[i].cell)) != 0)
			i++;
		if (i == sizeof(costs) / sizeof(*costs))
			return param_fail(-EINVAL, why, "nothing says what a cell '%s' takes", cell->string);
		out->lut += costs[i].lut * (uint32_t)cell->valuedouble;
		out->ff += costs[i].ff * (uint32_t)cell->valuedouble;
		halves += costs[i].halves_of_bram36 * (uint32_t)cell->valuedouble;
		out->uram += costs[i].uram * (uint32_t)cell->valuedouble;
		out->dsp += costs[i].dsp * (uint32_t)cell->valuedouble;
	}
	out->bram36 = (halves + 1) / 2;
	return 0;
}

static void print_share(uint32_t part, uint32_t whole) { printf("  %7u %4.1f%%", whole, 100.0 * part / whole); }

static int report_resources(
	const char *kernels_path, const char *kernel, const char *stat, char *const *boards, char *why)
{
	struct board_resources unit = {0};
	struct kernels kernels;
	int err = kernels_read(kernels_path, &kernels, why);

	if (!err)
		err = description_read(stat, read_cells, &unit, why);
	if (err)
		return err;
	printf("\nOne unit of the twin of %s by `yosys synth_xilinx -family xcup`, whose timing is not known, and its share of each\n"
	       "board's part; the platform's shell takes some of that.\n\n"
	       "             LUT             FF             BRAM36          URAM            DSP\n"
	       "unit   %7u        %7u        %7u        %7u        %7u\n",
		kernel, unit.lut, unit.ff, unit.bram36, unit.uram, unit.dsp);
	for (; *boards; boards++) {
		struct board board;

		err = board_read(*boards, &kernels, &board, why);
		if (err)
			return err;
		printf("%-5s", board.name);
		print_share(unit.lut, board.resources.lut);
		print_share(unit.ff, board.resources.ff);
		print_share(unit.bram36, board.resources.bram36);
		print_share(unit.uram, board.resources.uram);
		print_share(unit.dsp, board.resources.dsp);
		printf("\n");
	}
	return 0;
}

int main(int argc, char **argv)
{
	char why[VETO_WHY_MAX];

	if (argc == 2 && strcmp(argv[1], "cycles") == 0) {
		report_cycles();
		report_state_cycles();
		return 0;
	}
	if (argc < 5) {
		fprintf(stderr, "usage: hw_report cycles | KERNELS.json KERNEL STAT.json BOARD.json...\n");
		return 2;
	}
	if (report_resources(argv[1], argv[2], argv[3], argv + 4, why)) {
		fprintf(stderr, "hw_report: %s\n", why);
		return 1;
	}
	return 0;
}
