/* SPDX-License-Identifier: Apache-2.0 */
/* veto head: makes head files. */
#include "backbone.h"
#include "cli.h"
#include "head_make.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHECKED_STATES 8

static const char help_start[] = "Usage: veto head import --shape NAME [OPTION]... -o FILE SAFETENSORS\n"
#ifdef VETO_HAS_RUN
				 "       veto head sch --model MODEL.gguf [--i16] -o FILE\n"
#endif
#ifdef VETO_HAS_TRAIN
				 "       veto head train [OPTION]... -o FILE RECORDING...\n"
#endif
				 "\nimport: turns a published head into a head file, in integers.  Shapes:\n\n";
static const char help_end[] =
	"\n  -o, --output FILE    the head file\n"
	"      --int8           weights of 8 bits; 16 unless given\n"
	"      --backbone GGUF  the model whose hidden states the head reads: its fingerprint is kept, and checked on use;\n"
	"                       without it the head says \"any\"\n"
	"      --aggregate A    of steps: last, mean, product, min, geometric-mean or max-pool (default: the shape's)\n"
	"      --tap T          which hidden state: final_norm or layer:-N (default: the shape's)\n"
#ifdef VETO_HAS_RUN
	"\nsch: the table for the exact self-certainty of a model's tokens from its hidden states.\n\n"
	"      --model MODEL    a GGUF file\n"
	"      --i16            16 bits a weight; 24 unless given\n"
#endif
	;

struct args {
	const char *shape, *output, *backbone, *aggregation, *tap, *input, *model;
	bool is_int8, is_i16;
};

static void print_help(void)
{
	fputs(help_start, stdout);
	for (const struct head_shape *s = head_shapes; s->name; s++)
		printf("  %-12s %s; %s\n", s->name, s->help, s->output);
	fputs(help_end, stdout);
#ifdef VETO_HAS_TRAIN
	fputs(head_train_help, stdout);
#endif
	puts("\n      --help           this text");
}

/* false: *status is how the command ends. */
static bool read_args(int argc, char **argv, struct args *args, int *status)
{
	static const struct option options[] = {
		{"shape", required_argument, NULL, 's'},
		{"output", required_argument, NULL, 'o'},
		{"int8", no_argument, NULL, '8'},
		{"backbone", required_argument, NULL, 'b'},
		{"aggregate", required_argument, NULL, 'a'},
		{"tap", required_argument, NULL, 't'},
		{"model", required_argument, NULL, 'm'},
		{"i16", no_argument, NULL, '6'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, ":o:m:h", options, NULL)) != -1) {
		switch (option) {
		case 's':
			args->shape = optarg;
			break;
		case 'o':
			args->output = optarg;
			break;
		case '8':
			args->is_int8 = true;
			break;
		case 'b':
			args->backbone = optarg;
			break;
		case 'a':
			args->aggregation = optarg;
			break;
		case 't':
			args->tap = optarg;
			break;
		case 'm':
			args->model = optarg;
			break;
		case '6':
			args->is_i16 = true;
			break;
		case 'h':
			print_help();
			*status = close_stdout("head", EXIT_DONE);
			return false;
		default:
			*status = bad_option("head", argc, argv, option);
			return false;
		}
	}
	if (optind + 1 < argc) {
		*status = misused("head", "unexpected argument '%s'", argv[optind + 1]);
		return false;
	}
	args->input = argv[optind];
	return true;
}

static bool is_tap(const char *text)
{
	const char *layer = text + strlen("layer:-");

	return strcmp(text, "final_norm") == 0 ||
	       (strncmp(text, "layer:-", strlen("layer:-")) == 0 && *layer >= '1' && *layer <= '9' &&
		       strspn(layer, "0123456789") == strlen(layer) && strlen(layer) <= 4);
}

static bool is_aggregation(const char *text)
{
	for (int i = 0; i < HEAD_AGGREGATIONS; i++)
		if (strcmp(head_aggregations[i], text) == 0)
			return true;
	return false;
}

/* Like a hidden state: normal, with a few values far out.  The numbers of splitmix64. */
static void make_state(float *x, uint32_t cols, uint64_t seed)
{
	for (uint32_t i = 0; i < cols; i++) {
		double sum = -2;
		uint64_t z = seed * cols + i + 1;

		z *= 0x9e3779b97f4a7c15;
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		z ^= z >> 31;
		for (int part = 0; part < 4; part++)
			sum += (double)(z >> 16 * part & 0xffff) / 65536;
		x[i] = (float)(2.5 * sqrt(3) * sum * (i % 1000 == 500 ? 30 : 1));
	}
}

/* How far the integers' outputs lie from those of the floats, on states of no model. */
static int print_error(const struct veto_head *head, const struct head_source *source, const char *path)
{
	const struct veto_head_info *info = veto_head_info(head);
	const uint32_t last = head->layer[info->layers - 1].rows;
	float *x = malloc(info->cols * sizeof(*x));
	double *room = malloc(VETO_STATE_MAX * sizeof(*room)), *out = malloc(VETO_STATE_MAX * sizeof(*out)), worst = 0;
	int32_t *q = malloc(2 * VETO_STATE_MAX * sizeof(*q));
	const struct veto_rows rows = {.kind = VETO_HIDDEN, .rows = 1, .cols = info->cols, .data = x};
	struct head_result result;

	for (uint64_t i = 0; i < CHECKED_STATES && x && room && out && q && head->output != HEAD_DISTANCE; i++) {
		make_state(x, info->cols, i);
		head_score(head, &rows, 0, q, q + VETO_STATE_MAX, &result);
		head_exact(source, info->layers, x, room, out);
		for (uint32_t o = 0; o < last; o++)
			worst = fmax(worst, fabs(result.z[o] / 0x1p16 - out[o]));
	}
	printf("%s: %s, %u to ", path, info->shape, info->cols);
	if (info->width)
		printf("%u to ", info->width);
	printf("%u, int%d", info->outputs, info->weights == VETO_INT8 ? 8 : 16);
	if (head->output != HEAD_DISTANCE)
		printf("; outputs differ from those of the floats by up to %.2g on %d random states", worst,
			CHECKED_STATES);
	printf("\n");
	free(q);
	free(out);
	free(room);
	free(x);
	return EXIT_DONE;
}

static int import_tensors(const struct args *args, const struct safetensors *st, const struct backbone *backbone)
{
	struct head_source source[VETO_HEAD_LAYERS_MAX];
	const struct head_shape *shape;
	struct head_texts texts;
	struct veto_head *head;
	char why[VETO_WHY_MAX];
	int status, err;

	if (head_shape_find(args->shape, st, &shape, source, why))
		return misused("head", "%s: %s", args->input, why);
	if (backbone && backbone->embedding_length != source[0].weight->shape[1])
		return misused("head", "%s reads states of %llu values, and %s makes states of %u", args->input,
			(unsigned long long)source[0].weight->shape[1], args->backbone, backbone->embedding_length);
	texts = (struct head_texts){.shape = shape->name,
		.output = shape->output,
		.aggregation = args->aggregation ? args->aggregation : shape->aggregation,
		.tap = args->tap ? args->tap : shape->tap,
		.backbone = backbone ? backbone->fingerprint : "any",
		.quantisation = backbone ? backbone->quantisation : ""};
	err = head_make_dense(args->output, &texts, source, shape->layers, args->is_int8 ? VETO_INT8 : VETO_INT16, why);
	if (err == -EINVAL)
		return misused("head", "%s: %s", args->input, why);
	if (err || veto_head_open(args->output, &head, why))
		return failed("head", "%s", why);
	if (!backbone)
		say("head", "warning: without --backbone nothing keeps the head from states of another model");
	status = print_error(head, source, args->output);
	veto_head_close(head);
	return status;
}

static int import(const struct args *args)
{
	struct backbone backbone;
	struct safetensors st;
	char why[VETO_WHY_MAX];
	struct map map;
	int status;

	if (!args->shape || !args->output || !args->input)
		return misused("head", "import needs --shape, -o and a safetensors file; see veto head --help");
	if (args->model || args->is_i16)
		return misused("head", "--model and --i16 are of sch");
	if (args->tap && !is_tap(args->tap))
		return misused("head", "--tap %s: expected final_norm or layer:-N", args->tap);
	if (args->aggregation && !is_aggregation(args->aggregation))
		return misused("head", "--aggregate %s: expected last, mean, product, min, geometric-mean or max-pool",
			args->aggregation);
	if (is_same_file(args->input, args->output))
		return misused("head", "-o %s is the file that is read", args->output);
	if (args->backbone && backbone_read(args->backbone, &backbone, why))
		return misused("head", "%s", why);
	if (map_open(args->input, &map, why))
		return misused("head", "%s", why);
	if (safetensors_parse(map.data, map.bytes, args->input, &st, why)) {
		map_close(&map);
		return misused("head", "%s", why);
	}
	status = import_tensors(args, &st, args->backbone ? &backbone : NULL);
	safetensors_free(&st);
	map_close(&map);
	return status;
}

int cmd_head(int argc, char **argv)
{
	struct args args = {.shape = NULL};
	const char *verb = argc > 1 ? argv[1] : "";
	int status;

	if (*verb == '-' || !*verb) {
		if (!*verb)
			return misused("head", "import or another verb is needed; see veto head --help");
		return read_args(argc, argv, &args, &status) ? misused("head", "a verb is needed before '%s'", verb)
							     : status;
	}
#ifdef VETO_HAS_TRAIN
	if (strcmp(verb, "train") == 0)
		return close_stdout("head", head_train(argc - 1, argv + 1));
#else
	if (strcmp(verb, "train") == 0)
		return failed("head", "this build has no `veto head train`: it was made without liblbfgs");
#endif
	if (!read_args(argc - 1, argv + 1, &args, &status))
		return status;
	if (strcmp(verb, "import") == 0)
		return close_stdout("head", import(&args));
#ifdef VETO_HAS_RUN
	if (strcmp(verb, "sch") == 0) {
		if (!args.model || !args.output)
			return misused("head", "sch needs --model and -o; see veto head --help");
		if (args.input || args.shape || args.backbone || args.aggregation || args.tap || args.is_int8)
			return misused("head", "sch takes --model, --i16 and -o only");
		return close_stdout("head", head_sch(args.model, args.is_i16, args.output));
	}
#else
	if (strcmp(verb, "sch") == 0)
		return failed("head", "this build has no `veto head sch`: it was made without llama.cpp");
#endif
	return misused("head", "unknown verb '%s': import, sch or train", verb);
}
