/* SPDX-License-Identifier: Apache-2.0 */
/* Accuracy against tokens, risk against what is saved, and reliability, as plots. */
#include "evaluate_report.h"
#include "plot.h"

#include <math.h>
#include <string.h>

#define WHISKERS_MOST 16 /* settings that still show their intervals */
#define PANEL_WIDTH 470
#define PANEL_HEIGHT 400

/* --- Accuracy against tokens --- */

static double tokens_of(const struct evaluation *e, bool is_latency)
{
	return ratio(is_latency ? (double)e->sums.rounds : (double)e->sums.tokens, (double)e->sums.questions);
}

/* Whether no other setting is at least as good both ways, and better in one. */
static bool is_on_front(const struct evaluated *v, uint32_t i, bool is_latency)
{
	const double x = tokens_of(&v->evaluation[i], is_latency), y = estimate_of(&v->evaluation[i].sums, ACCURACY);

	for (uint32_t j = 0; j < v->count; j++) {
		const double other_x = tokens_of(&v->evaluation[j], is_latency),
			     other_y = estimate_of(&v->evaluation[j].sums, ACCURACY);

		if (other_x <= x && other_y >= y && (other_x < x || other_y > y))
			return false;
	}
	return true;
}

/* The front as stairs, from the fewest tokens on. */
static void draw_front(struct plot *p, const struct evaluated *v, bool is_latency)
{
	double last_x = -INFINITY, last_y = NAN;

	for (;;) {
		double x = INFINITY, y = NAN;

		for (uint32_t i = 0; i < v->count; i++)
			if (is_on_front(v, i, is_latency) && tokens_of(&v->evaluation[i], is_latency) > last_x &&
				tokens_of(&v->evaluation[i], is_latency) < x) {
				x = tokens_of(&v->evaluation[i], is_latency);
				y = estimate_of(&v->evaluation[i].sums, ACCURACY);
			}
		if (x == INFINITY)
			break;
		if (!isnan(last_y))
			plot_line(p, (double[]){last_x, x, x}, (double[]){last_y, last_y, y}, 3, 7, PLOT_DASHED);
		last_x = x;
		last_y = y;
	}
	if (!isnan(last_y) && last_x < p->x.high)
		plot_line(p, (double[]){last_x, p->x.high}, (double[]){last_y, last_y}, 2, 7, PLOT_DASHED);
}

static int colour_of(uint32_t select) { return 1 + (int)(select % 6); }

/* Those that follow each other can be seen where they lie on each other. */
static enum plot_shape shape_of(uint32_t select)
{
	static const enum plot_shape shapes[PLOT_SHAPES] = {
		PLOT_DISC, PLOT_BOX, PLOT_TRIANGLE, PLOT_RING, PLOT_DIAMOND, PLOT_CROSS, PLOT_DOWN, PLOT_SQUARE};

	return shapes[select % PLOT_SHAPES];
}

/* Whether there is room for intervals. */
static bool has_whiskers(const struct evaluated *v) { return v->selects == 1 && v->count <= WHISKERS_MOST; }

/* A line that joins the marks of a policy, from its least accurate to its most accurate; its name stands at the end. */
static void join_selects(struct plot *p, const struct evaluated *v, uint32_t i, bool is_latency)
{
	const double x = tokens_of(&v->evaluation[i], is_latency);
	double low = 1, high = 0;

	for (uint32_t s = i; s < i + v->selects; s++) {
		low = fmin(low, estimate_of(&v->evaluation[s].sums, ACCURACY));
		high = fmax(high, estimate_of(&v->evaluation[s].sums, ACCURACY));
	}
	plot_whiskers(p, x, NAN, NAN, high, low, high, 7);
}

static void name_policy(struct plot *p, const struct evaluated *v, uint32_t i, bool is_latency)
{
	uint32_t best = i;
	char key[16];

	for (uint32_t s = i; s < i + v->selects; s++)
		if (estimate_of(&v->evaluation[s].sums, ACCURACY) > estimate_of(&v->evaluation[best].sums, ACCURACY))
			best = s;
	plot_word(p, tokens_of(&v->evaluation[best], is_latency), estimate_of(&v->evaluation[best].sums, ACCURACY),
		policy_key(i / v->selects, key));
}

static void draw_setting(struct plot *p, const struct evaluated *v, uint32_t i, bool is_latency)
{
	const struct evaluation *e = &v->evaluation[i];
	const double x = tokens_of(e, is_latency), y = estimate_of(&e->sums, ACCURACY);
	const int colour = colour_of(i % v->selects);
	char tip[VETO_RULES_MAX * 512 + 256];

	if (has_whiskers(v))
		plot_whiskers(p, x, NAN, NAN, y, e->low[ACCURACY], e->high[ACCURACY], colour);
	snprintf(tip, sizeof(tip), "%s, %s: %.1f %s, accuracy %.1f %%", v->setting[i].policy, v->setting[i].select, x,
		is_latency ? "tokens in the longest chain" : "tokens a question", 100 * y);
	plot_marker(p, x, y, colour, shape_of(i % v->selects), tip);
}

static void draw_settings(struct plot *p, const struct evaluated *v, bool is_latency)
{
	for (uint32_t i = 0; i < v->count; i += v->selects)
		join_selects(p, v, i, is_latency);
	for (uint32_t i = 0; i < v->count; i++)
		draw_setting(p, v, i, is_latency);
	for (uint32_t i = 0; i < v->count; i += v->selects)
		name_policy(p, v, i, is_latency);
}

static void draw_pareto(struct report *r, const struct evaluated *v, bool is_latency)
{
	struct plot_axis x = {is_latency ? "tokens in the longest chain of a question, mean"
					 : "tokens a question, mean",
				 1, 0, false, false},
			 y = {"accuracy (%)", 1, 0, true, false};
	struct plot_entry entry[SETTINGS_MAX + 1] = {{"Pareto front", 7, PLOT_SHAPES, true, PLOT_DASHED}};
	struct plot p;

	for (uint32_t s = 0; s < v->selects; s++)
		entry[s + 1] = (struct plot_entry){v->setting[s].select, colour_of(s), shape_of(s), false, PLOT_SOLID};
	for (uint32_t i = 0; i < v->count; i++) {
		const struct evaluation *e = &v->evaluation[i];

		plot_include(&x, tokens_of(e, is_latency));
		plot_include(&y, estimate_of(&e->sums, ACCURACY));
		if (has_whiskers(v)) {
			plot_include(&y, e->low[ACCURACY]);
			plot_include(&y, e->high[ACCURACY]);
		}
	}
	plot_begin(&p, r->out, PANEL_WIDTH, PANEL_HEIGHT,
		is_latency ? "Accuracy against time: the longest chain" : "Accuracy against tokens", x, y, entry,
		v->selects + 1);
	draw_front(&p, v, is_latency);
	draw_settings(&p, v, is_latency);
	plot_end(&p);
}

void report_pareto(struct report *r, const struct evaluated *v)
{
	report_figure_begin(r, "pareto", true);
	draw_pareto(r, v, false);
	draw_pareto(r, v, true);
	report_figure_end(r,
		"Up and to the left is better: each mark is a policy (P1, P2, ... of the table above) with a selector%s; no "
		"setting is better than those on the dashed line both in accuracy and in tokens.",
		has_whiskers(v)	 ? ", its line an interval of 95 % over the questions"
		: v->selects > 1 ? ", and a line joins those of a policy"
				 : "");
}

/* --- Risk against saved --- */

/* The largest risk that is shown: that of the riskiest policy, and a little more. */
static double most_risk(const struct evaluated *v, enum risk risk)
{
	double most = 0;

	for (uint32_t i = 0; i < v->count; i += v->selects)
		most = fmax(most, v->evaluation[i].high[risk]);
	return most > 0 ? fmin(1, fmax(0.02, 1.15 * most)) : 1;
}

static void draw_baseline(
	struct plot *p, const struct baseline *curve, uint32_t points, enum risk risk, int colour, enum plot_line line)
{
	static double x[BASELINE_POINTS], y[BASELINE_POINTS];

	for (uint32_t i = 0; i < points; i++) {
		x[i] = curve[i].saved;
		y[i] = curve[i].risk[risk];
	}
	plot_line(p, x, y, points, colour, line);
}

static void draw_policies(struct plot *p, const struct evaluated *v, enum risk risk)
{
	char tip[VETO_RULES_MAX * 512 + 256], key[16];

	for (uint32_t i = 0; i < v->count; i += v->selects) {
		const struct evaluation *e = &v->evaluation[i];

		plot_whiskers(p, estimate_of(&e->sums, SAVED), e->low[SAVED], e->high[SAVED], risk_of(&e->sums, risk),
			e->low[risk], e->high[risk], 0);
	}
	for (uint32_t i = 0; i < v->count; i += v->selects) {
		const struct evaluation *e = &v->evaluation[i];

		snprintf(tip, sizeof(tip), "%s: risk %.4f (%.4f to %.4f), %.1f %% saved", v->setting[i].policy,
			risk_of(&e->sums, risk), e->low[risk], e->high[risk], 100 * estimate_of(&e->sums, SAVED));
		plot_marker(p, estimate_of(&e->sums, SAVED), risk_of(&e->sums, risk), 0, PLOT_DISC, tip);
	}
	for (uint32_t i = 0; i < v->count; i += v->selects)
		plot_word(p, estimate_of(&v->evaluation[i].sums, SAVED), risk_of(&v->evaluation[i].sums, risk),
			policy_key(i / v->selects, key));
}

static void draw_risk(struct report *r, const struct evaluated *v, enum risk risk, const char *title)
{
	const struct baselines *b = &v->baselines;
	const bool has_random = risk != RISK_ANSWER;
	struct plot_axis x = {"tokens saved (%)", 0, b->oracle, true, true},
			 y = {risk == RISK_ANSWER ? "right answers lost, of all questions (%)"
						  : "right candidates rejected, mean over questions (%)",
				 0, most_risk(v, risk), true, true};
	const struct plot_entry entry[] = {{"policies", 0, PLOT_DISC, false, PLOT_SOLID},
		{"length cap", 1, PLOT_SHAPES, true, PLOT_SOLID},
		{b->oracle_knows_steps ? "oracle" : "oracle, at most", 3, PLOT_DIAMOND, false, PLOT_SOLID},
		{"random rejection", 2, PLOT_SHAPES, true, PLOT_DASHED}};
	struct plot p;

	for (uint32_t i = 0; i < v->count; i += v->selects)
		plot_include(&x, v->evaluation[i].high[SAVED]);
	for (uint32_t i = 0; i < b->caps && b->cap[i].risk[risk] <= y.high; i++)
		plot_include(&x, b->cap[i].saved);
	plot_begin(&p, r->out, PANEL_WIDTH, PANEL_HEIGHT, title, x, y, entry, 3 + has_random);
	draw_baseline(&p, b->cap, b->caps, risk, 1, PLOT_SOLID);
	if (has_random)
		draw_baseline(&p, b->random, b->randoms, risk, 2, PLOT_DASHED);
	plot_marker(&p, b->oracle, 0, 3, PLOT_DIAMOND, "an oracle that stops every wrong candidate and no other");
	draw_policies(&p, v, risk);
	plot_end(&p);
}

void report_risks(struct report *r, const struct evaluated *v)
{
	report_figure_begin(r, "risk", true);
	draw_risk(r, v, RISK_CANDIDATE, "Risk of candidates against saved");
	draw_risk(r, v, RISK_ANSWER, "Risk of answers against saved");
	report_figure_end(r,
		"Down and to the right is better: a policy whose mark lies below the curve of the length cap saves more at the "
		"same risk than stopping long candidates would; lines through marks are intervals of 95 %%. Answers are "
		"chosen by %s%s; the oracle's risk is 0 by construction.",
		v->setting[0].select,
		strcmp(v->setting[0].select, "majority") == 0 ? "" : ", those under the length cap by majority");
}

/* --- Reliability --- */

void report_diagram(struct report *r, const struct reliability *reliability)
{
	const struct plot_axis x = {"predicted chance to be right (%)", 0, 1, true, true},
			       y = {"right (%)", 0, 1, true, true};
	struct plot p;
	const struct plot_entry entry[] = {{"candidates of a bin", 1, PLOT_DISC, false, PLOT_SOLID},
		{"as predicted", 7, PLOT_SHAPES, true, PLOT_DASHED}};
	char title[128], text[64];

	snprintf(title, sizeof(title), "Reliability of %s", veto_fields[reliability->field].name);
	plot_begin(&p, r->out, PANEL_WIDTH, PANEL_HEIGHT, title, x, y, entry, 2);
	plot_line(&p, (double[]){0, 1}, (double[]){0, 1}, 2, 7, PLOT_DASHED);
	for (int b = 0; b < RELIABILITY_BINS; b++) {
		const struct reliability_bin *bin = &reliability->bin[b];
		const double n = (double)bin->candidates;
		double low, high;

		if (bin->candidates == 0)
			continue;
		wilson(bin->right, bin->candidates, &low, &high);
		plot_whiskers(&p, bin->sum / n, NAN, NAN, (double)bin->right / n, low, high, 1);
		snprintf(text, sizeof(text), "%.0f candidates, %.1f %% right", n, 100 * (double)bin->right / n);
		plot_marker(&p, bin->sum / n, (double)bin->right / n, 1, PLOT_DISC, text);
	}
	for (int b = 0; b < RELIABILITY_BINS; b++) {
		const struct reliability_bin *bin = &reliability->bin[b];

		snprintf(text, sizeof(text), "%.0f", (double)bin->candidates);
		if (bin->candidates > 0)
			plot_word(&p, bin->sum / (double)bin->candidates, (double)bin->right / (double)bin->candidates,
				text);
	}
	plot_end(&p);
}
