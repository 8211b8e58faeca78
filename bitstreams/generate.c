/* SPDX-License-Identifier: Apache-2.0 */
/* Writes what follows from the description of the kernels:
 *   generate header KERNELS.json    register offsets, for hosts and models
 *   generate glue KERNELS.json      the kernels behind one call each, for the model
 *   generate rtl-glue KERNELS.json  their RTL behind one call each
 *   generate verilog KERNELS.json   register offsets and what veto_hw.h says, for the RTL twin
 *   generate metadata KERNELS.json  EMBEDDED_METADATA of an xclbin
 *   generate link KERNELS.json BOARD.json  the board's configuration for v++ --link
 */
#include "boards.h"
#include "kernels.h"
#include "param.h"
#include "veto_hw.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define FX1_TABLE 64 /* entries of A and B */

static void print_upper(const char *text)
{
	for (; *text; text++)
		putchar(toupper((unsigned char)*text));
}

/* The start of the definition of something of an argument. */
static void print_define(const char *define, const struct kernel *k, const struct kernel_argument *a)
{
	printf("%s ", define);
	print_upper(k->name);
	printf("_");
	print_upper(a->name);
}

static void print_header(const struct kernels *k)
{
	printf("/* Made from kernels.json. */\n#ifndef VETO_KERNELS_H\n#define VETO_KERNELS_H\n\n"
	       "/* Where the first unit's registers lie in emulation; an argument's index in xrtKernelRun(), and the offset of "
	       "its register. */\n");
	for (uint32_t i = 0; i < k->count; i++) {
		printf("#define ");
		print_upper(k->kernel[i].name);
		printf("_BASE 0x%llxu\n", (unsigned long long)k->kernel[i].base);
		for (uint32_t j = 0; j < k->kernel[i].arguments; j++) {
			const struct kernel_argument *a = &k->kernel[i].argument[j];

			print_define("#define", &k->kernel[i], a);
			printf(" %u\n", j);
			print_define("#define", &k->kernel[i], a);
			printf("_REGISTER 0x%02xu\n", a->offset);
		}
	}
	printf("\n#endif\n");
}

/* One function a kernel: arguments from the registers, addresses of the card through at(). */
static void print_call(const struct kernel *k)
{
	printf("static const char *call_%s(const unsigned char *registers, void *(*at)(uint64_t, uint64_t))\n{\n",
		k->name);
	for (uint32_t i = 0; i < k->arguments; i++)
		printf("\tuint%d_t r%u;\n", k->argument[i].is_buffer ? 64 : 32, i);
	for (uint32_t i = 0; i < k->arguments; i++)
		printf("\tmemcpy(&r%u, registers + 0x%02x, sizeof(r%u));\n", i, k->argument[i].offset, i);
	printf("\t%s(", k->name);
	for (uint32_t i = 0; i < k->arguments; i++)
		printf("%s(%s)%s%u%s", i ? ", " : "", k->argument[i].type, k->argument[i].is_buffer ? "at(r" : "r", i,
			k->argument[i].is_buffer ? ", 0)" : "");
	printf(");\n\treturn NULL;\n}\n\n");
}

/* The units, each with its own registers; call_<kernel>() runs one. */
static void print_units(const struct kernels *k, bool has_own_calls)
{
	printf("const struct emulated_kernel veto_emulated_kernels[] = {\n");
	for (uint32_t i = 0; i < k->count; i++)
		for (uint32_t u = 0; u < k->kernel[i].units; u++) {
			printf("\t{\"%s_%u\", 0x%llxu, call_%s", k->kernel[i].name, u + 1,
				(unsigned long long)k->kernel[i].base + u * KERNEL_CONTROL_BYTES, k->kernel[i].name);
			if (has_own_calls)
				printf("_%u", u + 1);
			printf("},\n");
		}
	printf("\t{0},\n};\n");
}

static void print_glue(const struct kernels *k)
{
	printf("/* Made from kernels.json. */\n#include \"emulated.h\"\n");
	for (uint32_t i = 0; i < k->count; i++)
		printf("#include \"%s\"\n", k->kernel[i].header);
	printf("\n#include <string.h>\n\n");
	for (uint32_t i = 0; i < k->count; i++)
		print_call(&k->kernel[i]);
	print_units(k, false);
}

/* Each unit is simulated for itself. */
static void print_rtl_glue(const struct kernels *k)
{
	printf("/* Made from kernels.json. */\n#include \"emulated.h\"\n#include \"emulated_rtl.h\"\n\n");
	for (uint32_t i = 0; i < k->count; i++)
		for (uint32_t u = 0; u < k->kernel[i].units; u++) {
			printf("static const char *call_%s_%u(const unsigned char *registers, void *(*at)(uint64_t, uint64_t))\n"
			       "{\n\tstatic struct rtl *rtl;\n\n\treturn emulated_rtl_call(&rtl, RTL_",
				k->kernel[i].name, u + 1);
			print_upper(k->kernel[i].name);
			printf(", registers, at);\n}\n\n");
		}
	print_units(k, true);
}

/* A vector, entry 0 lowest. */
static void print_table(const char *name, const uint16_t *table, int bits)
{
	printf("`define %s {", name);
	for (int i = FX1_TABLE - 1; i >= 0; i--)
		printf("%d'd%u%s", bits, table[i], i ? "," : "}\n");
}

static void print_verilog(const struct kernels *k)
{
	static const uint16_t a[FX1_TABLE] = VETO_FX1_A, b[FX1_TABLE] = VETO_FX1_B;

	printf("// Made from kernels.json and veto_hw.h.\n`ifndef VETO_HW_VH\n`define VETO_HW_VH\n");
	for (uint32_t i = 0; i < k->count; i++)
		for (uint32_t j = 0; j < k->kernel[i].arguments; j++) {
			print_define("`define", &k->kernel[i], &k->kernel[i].argument[j]);
			printf(" 12'h%03x\n", k->kernel[i].argument[j].offset);
		}
#define PRINT(name, width) printf("`define " #name " %d'h%x\n", width, (uint32_t)(name))
	PRINT(VETO_FX1_VERSION, 32);
	PRINT(VETO_VOCAB_MAX, 32);
	PRINT(VETO_TOP_MAX, 32);
	PRINT(VETO_LOG2E_SIGNIFICAND, 24);
	PRINT(VETO_SHIFT_MAX, 13);
	PRINT(VETO_ROW_SHIFT_MAX, 13);
	PRINT(VETO_N_EMPTY, 32);
	PRINT(VETO_NO_TOKEN, 32);
	PRINT(VETO_HX1_VERSION, 32);
	PRINT(VETO_STATE_MAX, 32);
	PRINT(VETO_HEAD_OUTPUTS_MAX, 32);
	PRINT(VETO_DISTANCE_ROWS_MAX, 32);
	PRINT(VETO_STATES_MAX, 32);
	PRINT(VETO_INT8, 1);
	PRINT(VETO_INT16, 1);
	PRINT(VETO_HIDDEN_HEAD, 32);
	PRINT(VETO_HIDDEN_TABLE24, 32);
	PRINT(VETO_HIDDEN_TABLE16, 32);
	PRINT(VETO_HIDDEN_BAD_STATE, 32);
	PRINT(VETO_KERNEL_CONTRACT, 32);
	PRINT(VETO_KERNEL_MAGIC, 32);
	PRINT(VETO_LAUNCH_ROWS_MAX, 32);
	PRINT(VETO_KERNEL_FP32, 2);
	PRINT(VETO_KERNEL_FP16, 2);
	PRINT(VETO_KERNEL_BF16, 2);
	PRINT(VETO_KERNEL_BAD_COUNT, 32);
	PRINT(VETO_KERNEL_BAD_JOB, 32);
	PRINT(VETO_KERNEL_BAD_BUS, 32);
#undef PRINT
	print_table("VETO_FX1_A", a, 16);
	print_table("VETO_FX1_B", b, 15);
	printf("`endif\n");
}

static void print_kernel_metadata(const struct kernel *k)
{
	printf("        <kernel name=\"%s\" language=\"c\">\n", k->name);
	printf("          <port name=\"s_axi_control\" mode=\"slave\" range=\"0x%x\" dataWidth=\"32\" "
	       "portType=\"addressable\" base=\"0x0\"/>\n",
		KERNEL_CONTROL_BYTES);
	for (uint32_t i = 0; i < k->arguments; i++)
		if (k->argument[i].is_buffer)
			printf("          <port name=\"m_axi_%s\" mode=\"master\" range=\"0xFFFFFFFFFFFFFFFF\" "
			       "dataWidth=\"%d\" portType=\"addressable\" base=\"0x0\"/>\n",
				k->argument[i].name, KERNEL_PORT_BITS);
	for (uint32_t i = 0; i < k->arguments; i++) {
		const struct kernel_argument *a = &k->argument[i];
		const int bytes = a->is_buffer ? 8 : 4;

		printf("          <arg name=\"%s\" addressQualifier=\"%d\" id=\"%u\" port=\"%s%s\" size=\"0x%x\" "
		       "offset=\"0x%x\" hostOffset=\"0x0\" hostSize=\"0x%x\" type=\"%s\"/>\n",
			a->name, a->is_buffer, i, a->is_buffer ? "m_axi_" : "s_axi_control",
			a->is_buffer ? a->name : "", bytes, a->offset, bytes, a->is_buffer ? "void*" : "uint");
	}
	for (uint32_t u = 0; u < k->units; u++)
		printf("          <instance name=\"%s_%u\">\n            <addrRemap base=\"0x%llx\" range=\"0x%x\" "
		       "port=\"s_axi_control\"/>\n          </instance>\n",
			k->name, u + 1, (unsigned long long)k->base + u * KERNEL_CONTROL_BYTES, KERNEL_CONTROL_BYTES);
	printf("        </kernel>\n");
}

static void print_metadata(const struct kernels *k)
{
	printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<project name=\"veto\">\n"
	       "  <platform vendor=\"veto\" boardid=\"emulation\" name=\"emulation\">\n"
	       "    <version major=\"1\" minor=\"0\"/>\n"
	       "    <device name=\"fpga0\" fpgaDevice=\"emulation\">\n"
	       "      <core name=\"OCL_REGION_0\" target=\"csim\" type=\"clc_region\" clockFreq=\"300MHz\">\n");
	for (uint32_t i = 0; i < k->count; i++)
		print_kernel_metadata(&k->kernel[i]);
	printf("      </core>\n    </device>\n  </platform>\n</project>\n");
}

/* Which memory each argument of each unit lies in. */
static void print_link(const struct board *b)
{
	const struct kernels *k = &b->kernels;

	printf("# Made from kernels.json and the configuration of the %s.  %s.\nplatform=%s\n\n[clock]\n"
	       "# The spelling of this varies by release of Vitis.\ndefaultFreqHz=%u000000\n\n[connectivity]\n",
		b->name, b->status, b->platform, b->clock_mhz);
	for (uint32_t i = 0; i < k->count; i++) {
		uint32_t count = 0;

		for (uint32_t u = 0; u < b->units; u++)
			count += b->unit[u].kernel == i;
		if (count == 0)
			continue;
		printf("nk=%s:%u:", k->kernel[i].name, count);
		for (uint32_t u = 0; u < b->units; u++)
			if (b->unit[u].kernel == i)
				printf("%s%s", b->unit[u].name, --count ? "." : "\n");
	}
	for (uint32_t u = 0; u < b->units; u++) {
		const struct kernel *kernel = &k->kernel[b->unit[u].kernel];

		for (uint32_t j = 0; j < kernel->arguments; j++)
			if (kernel->argument[j].is_buffer)
				printf("sp=%s.%s:%s\n", b->unit[u].name, kernel->argument[j].name,
					b->unit[u].memory[j]);
	}
}

static int fail(const char *why)
{
	fprintf(stderr, "generate: %s\n", why);
	return 1;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*print)(const struct kernels *k);
	} kinds[] = {{"header", print_header}, {"glue", print_glue}, {"rtl-glue", print_rtl_glue},
		{"verilog", print_verilog}, {"metadata", print_metadata}};
	struct kernels kernels;
	struct board board;
	char why[VETO_WHY_MAX];

	for (size_t i = 0; argc == 3 && i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(argv[1], kinds[i].name) != 0)
			continue;
		if (kernels_read(argv[2], &kernels, why))
			return fail(why);
		kinds[i].print(&kernels);
		return fflush(stdout) || ferror(stdout) ? 1 : 0;
	}
	if (argc == 4 && strcmp(argv[1], "link") == 0) {
		if (kernels_read(argv[2], &kernels, why) || board_read(argv[3], &kernels, &board, why))
			return fail(why);
		print_link(&board);
		return fflush(stdout) || ferror(stdout) ? 1 : 0;
	}
	fprintf(stderr,
		"usage: generate header|glue|rtl-glue|verilog|metadata KERNELS.json\n       generate link KERNELS.json BOARD.json\n");
	return 2;
}
