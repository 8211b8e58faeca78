/* SPDX-License-Identifier: Apache-2.0 */
/* veto head train: a head from recorded candidates. */
#include "backbone.h"
#include "cli.h"
#include "examples.h"
#include "head_make.h"
#include "recorded.h"
#include "train.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char head_train_help[] =
	"\ntrain: a head from recorded candidates, whose reward says how likely what stands there is right.\n\n"
	"      --features F     hidden: the state where a step ends (default); scores: statistics of the tokens' scores so\n"
	"                       far; both\n"
	"      --labels L       answer: whether the candidate's answer is right (default); steps: whether all is right up to\n"
	"                       there\n"
	"      --hidden N       values between two layers: 16 or 32; 0: one layer (default)\n"
	"      --split F,C,T    shares of the questions for fit, calibrate and test, or a JSON file (default 0.3,0.5,0.2); it\n"
	"                       learns from the fit part only\n"
	"      --seed S         of the split, of the questions that choose the penalty, and of the first weights (default 1)\n"
	"      --json           what came of it as one JSON object\n";

enum features { HIDDEN = 1, SCORES, BOTH };

struct args {
	const char *output, *backbone, *const *path;
	enum features features;
	bool is_of_steps, is_int8, is_json;
	uint32_t hidden;
	struct split split;
};

/* --- Arguments --- */

static int find_name(const char *option, const char *text, const char *const *names, int *out)
{
	char known[64] = "";

	for (*out = 0; names[*out]; ++*out) {
		if (strcmp(names[*out], text) == 0)
			return EXIT_DONE;
		snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
			!*out		  ? ""
			: names[*out + 1] ? ", "
					  : " or ",
			names[*out]);
	}
	return misused("head", "%s '%s': expected %s", option, text, known);
}

static int read_option(int option, char *text, void *arg)
{
	static const char *const features[] = {"hidden", "scores", "both", NULL},
				 *const labels[] = {"answer", "steps", NULL}, *const sizes[] = {"0", "16", "32", NULL};
	struct args *args = arg;
	int index = 0, status = EXIT_DONE;

	switch (option) {
	case 'f':
		status = find_name("--features", text, features, &index);
		args->features = (enum features)(index + 1);
		return status;
	case 'l':
		status = find_name("--labels", text, labels, &index);
		args->is_of_steps = index == 1;
		return status;
	case 'n':
		status = find_name("--hidden", text, sizes, &index);
		args->hidden = 16 * (uint32_t)index;
		return status;
	case 'x':
		return split_read("head", text, &args->split);
	case 'e':
		return split_read_seed("head", text, &args->split);
	case 'o':
		args->output = text;
		return EXIT_DONE;
	case 'b':
		args->backbone = text;
		return EXIT_DONE;
	case '8':
		args->is_int8 = true;
		return EXIT_DONE;
	default:
		args->is_json = true;
		return EXIT_DONE;
	}
}

static int read_args(int argc, char **argv, struct args *args, bool *wants_help)
{
	static const struct option options[] = {
		{"features", required_argument, NULL, 'f'},
		{"labels", required_argument, NULL, 'l'},
		{"hidden", required_argument, NULL, 'n'},
		{"int8", no_argument, NULL, '8'},
		{"backbone", required_argument, NULL, 'b'},
		{"split", required_argument, NULL, 'x'},
		{"seed", required_argument, NULL, 'e'},
		{"output", required_argument, NULL, 'o'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	static const struct command_options all = {"head", head_train_help + 1, ":o:h", options, read_option};
	const int status = read_options(&all, argc, argv, args, wants_help);

	if (status || *wants_help)
		return status;
	if (!args->output)
		return misused("head", "train needs -o; see veto head --help");
	if (args->hidden > 0 && args->features == SCORES)
		return misused("head",
			"--hidden %u: statistics of scores go without; it is for --features hidden or both",
			args->hidden);
	if (args->is_int8 && args->features == SCORES)
		return misused(
			"head", "--int8: the weights of statistics have 16 bits; it is for --features hidden or both");
	if (check_output("head", "-o", args->output, argc, argv, (const char *[]){args->split.text, args->backbone}, 2))
		return EXIT_MISUSED;
	args->path = (const char *const *)argv + optind;
	return args->split.text ? EXIT_DONE : split_read("head", "0.3,0.5,0.2", &args->split);
}

/* --- Training --- */

/* At most five times a second. */
static void show_progress(void *arg, double penalty, uint32_t iteration, double loss)
{
	(void)arg;
	say_progress("penalty %g, iteration %u: loss %.4f", penalty, iteration, loss);
}

static struct tensor tensor_of(const char *name, uint32_t rows, uint32_t cols, const double *data)
{
	return (struct tensor){.name = name,
		.type = "F64",
		.dims = cols ? 2 : 1,
		.shape = {rows, cols},
		.bytes = sizeof(*data) * rows * (cols ? cols : 1),
		.data = data};
}

/* Write the model in integers. */
static int write_head(const struct args *args, const struct backbone *backbone, const struct examples *e,
	const struct train_model *m, const char *trained_on)
{
	const double bias = e->data.statistics ? 0 : m->bias; /* or else it is beside the statistics */
	const bool has_two = m->hidden > 0;
	const struct tensor tensor[] = {tensor_of("first", has_two ? m->hidden : 1, m->cols, m->first),
		tensor_of("first bias", has_two ? m->hidden : 1, 0, has_two ? m->first_bias : &bias),
		tensor_of("second", 1, m->hidden, m->second), tensor_of("second bias", 1, 0, &bias)};
	const struct head_source source[] = {{&tensor[0], &tensor[1]}, {&tensor[2], &tensor[3]}};
	const struct head_statistics statistics = {
		e->statistic, m->statistic, e->data.statistics, e->data.statistics ? m->bias : 0};
	const struct head_texts texts = {.shape = "probe",
		.output = "sigmoid",
		.aggregation = "last",
		.tap = m->cols ? "final_norm" : "none",
		.backbone = backbone ? backbone->fingerprint : "any",
		.quantisation = backbone ? backbone->quantisation : "",
		.trained_on = trained_on};
	char why[VETO_WHY_MAX];

	if (head_make_fused(args->output, &texts, source, m->cols ? 1 + has_two : 0,
		    args->is_int8 ? VETO_INT8 : VETO_INT16, &statistics, why))
		return failed("head", "%s", why);
	return EXIT_DONE;
}

static void print_summary(const struct args *args, const struct examples *e, const struct train_model *m)
{
	if (args->is_json) {
		printf("{\"examples\":%u,\"right\":%u,\"unusable\":%u,\"questions\":%u,\"validation_questions\":%u,\"unlabelled\":%u,"
		       "\"statistics\":%u,\"cols\":%u,\"hidden\":%u,\"penalty\":%g,\"iterations\":%u,\"validation_auc\":%.6f,"
		       "\"validation_log_loss\":%.6f}\n",
			e->data.examples, e->right, e->unusable, e->questions, e->validation_questions, e->unlabelled,
			m->statistics, m->cols, m->hidden, m->penalty, m->iterations, m->auc, m->log_loss);
		return;
	}
	printf("%s: from %u ends of steps, %u of them right, of %u questions", args->output, e->data.examples, e->right,
		e->questions);
	if (e->unlabelled > 0)
		printf("; %u questions without labels are left out", e->unlabelled);
	if (e->unusable > 0)
		printf("; %u ends of steps without a usable state or score are left out", e->unusable);
	printf("\n  on %u questions that chose the penalty (%g) and the iterations (%u): AUC %.4f, log-loss %.4f nats\n",
		e->validation_questions, m->penalty, m->iterations, m->auc, m->log_loss);
}

/* Which questions it learns from, as head files say it, to be freed; NULL: out of memory. */
static char *list_questions(const struct trace *trace, const enum part *part)
{
	char *list = malloc((size_t)trace->questions * 16 + 1);
	size_t used = 0;

	for (uint32_t i = 0; list && i < trace->questions; i++)
		if (part[i] == PART_FIT)
			used += (size_t)sprintf(list + used, "%016llx", (unsigned long long)trace->question[i].text);
	if (list)
		list[used] = 0;
	return list;
}

static int train_on(const struct args *args, const struct backbone *backbone, const struct trace *trace)
{
	const struct examples_wanted wanted = {.has_states = args->features != SCORES,
		.has_statistics = args->features != HIDDEN,
		.is_of_steps = args->is_of_steps,
		.seed = args->split.seed};
	const struct train_options options = {
		.hidden = args->hidden, .seed = args->split.seed, .progress = show_progress};
	struct examples examples = {.questions = 0};
	struct train_model model;
	char why[VETO_WHY_MAX];
	int status, err;
	enum part *part = split_parts("head", &args->split, trace, &status);
	char *trained_on = status ? NULL : list_questions(trace, part);

	if (!status && !trained_on)
		status = failed("head", "out of memory");
	if (status) {
		free(part);
		return status;
	}
	err = examples_make(trace, part, &wanted, &examples, why);
	if (!err)
		err = train(&examples.data, &options, &model, why);
	end_progress();
	if (err)
		status = failed("head", "%s: %s", args->path[0], why);
	else
		status = write_head(args, backbone, &examples, &model, trained_on);
	if (!status)
		print_summary(args, &examples, &model);
	if (!err)
		train_free(&model);
	examples_free(&examples);
	free(trained_on);
	free(part);
	return status;
}

int head_train(int argc, char **argv)
{
	struct args args = {.features = HIDDEN, .split.seed = 1};
	struct backbone backbone;
	char why[VETO_WHY_MAX];
	struct trace trace;
	bool wants_help;
	int status = read_args(argc, argv, &args, &wants_help);

	if (status || wants_help)
		return status;
	if (args.backbone && backbone_read(args.backbone, &backbone, why))
		return misused("head", "%s", why);
	status = recorded_read("head", argc, argv, true, &trace);
	if (status)
		return status;
	if (args.backbone && args.features != SCORES && trace.state_cols &&
		trace.state_cols != backbone.embedding_length)
		status = misused("head", "%s has states of %u values, and %s makes states of %u", args.path[0],
			trace.state_cols, args.backbone, backbone.embedding_length);
	else
		status = train_on(&args, args.backbone ? &backbone : NULL, &trace);
	trace_free(&trace);
	return status;
}
