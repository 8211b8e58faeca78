/* SPDX-License-Identifier: Apache-2.0 */
/* Draws plots as SVG. */
#include "plot.h"
#include "json.h"
#include "report.h"

#include <math.h>
#include <string.h>

#define CHARACTER 7.0 /* how wide one is at most, on average */
#define WIDE 13.0 /* one that is not ASCII */
#define TICKS 6
#define KEY 34.0 /* of an entry of a legend, before its text */
#define ROW 19.0 /* of a legend */
#define MARKER 4.5 /* half of one */
#define PAD 0.05 /* of an axis beyond what it holds */

void plot_include(struct plot_axis *axis, double value)
{
	if (!isfinite(value))
		return;
	if (axis->low > axis->high)
		axis->low = axis->high = value;
	axis->low = fmin(axis->low, value);
	axis->high = fmax(axis->high, value);
}

/* --- Places --- */

static double clamp(double value, double low, double high) { return fmin(high, fmax(low, value)); }

static double across(const struct plot *p, double x)
{
	const double at = (x - p->x.low) / (p->x.high - p->x.low);

	return clamp(p->inner.left + at * (p->inner.right - p->inner.left), p->inner.left, p->inner.right);
}

static double down(const struct plot *p, double y)
{
	const double at = (y - p->y.low) / (p->y.high - p->y.low);

	return clamp(p->inner.bottom - at * (p->inner.bottom - p->inner.top), p->inner.top, p->inner.bottom);
}

static double width_of(const char *text)
{
	double width = 0;

	for (int bytes; *text; text += bytes ? bytes : 1) {
		bytes = json_utf8_length(text);
		width += bytes > 1 ? WIDE : CHARACTER;
	}
	return width;
}

static bool is_free(const struct plot *p, const struct plot_box *box)
{
	if (box->left < p->inner.left || box->right > p->width - 2 || box->top < p->inner.top - ROW / 2 ||
		box->bottom > p->inner.bottom)
		return false;
	for (uint32_t i = 0; i < p->takens; i++)
		if (box->left < p->taken[i].right && box->right > p->taken[i].left && box->top < p->taken[i].bottom &&
			box->bottom > p->taken[i].top)
			return false;
	return true;
}

static void take(struct plot *p, struct plot_box box)
{
	if (p->takens < PLOT_LABELS)
		p->taken[p->takens++] = box;
}

/* --- Words --- */

/* Text of a class from, to or around (anchor) a place, cut to a width. */
static void write_word(
	struct plot *p, double x, double y, const char *anchor, const char *class, const char *text, double width)
{
	char cut[512];
	size_t used = 0;
	double so_far = 0;

	while (text[used]) {
		const int bytes = json_utf8_length(text + used);
		const double next = bytes > 1 ? WIDE : CHARACTER;

		if (used + 8 > sizeof(cut) || (so_far + next > width - WIDE && width_of(text + used) > width - so_far))
			break;
		so_far += next;
		memcpy(cut + used, text + used, (size_t)(bytes ? bytes : 1));
		used += (size_t)(bytes ? bytes : 1);
	}
	cut[used] = 0;
	fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">", x, y, anchor, class);
	report_text(p->out, cut);
	fprintf(p->out, "%s</text>\n", text[used] ? "\xe2\x80\xa6" : "");
}

void plot_word(struct plot *p, double x, double y, const char *text)
{
	static const struct {
		double right, down; /* of the word's middle line, in markers' widths */
		const char *anchor;
	} places[] = {{1, 0, "start"}, {-1, 0, "end"}, {0, -1.6, "middle"}, {0, 1.6, "middle"}, {0.8, -1.1, "start"},
		{0.8, 1.1, "start"}, {-0.8, -1.1, "end"}, {-0.8, 1.1, "end"}, {1.6, -2.6, "start"}, {1.6, 2.6, "start"},
		{-1.6, -2.6, "end"}, {-1.6, 2.6, "end"}};
	const double width = width_of(text);

	if (isnan(x) || isnan(y))
		return;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		const double at = across(p, x) + places[i].right * 2 * MARKER,
			     middle = down(p, y) + places[i].down * 2 * MARKER,
			     left = *places[i].anchor == 's'   ? at
				    : *places[i].anchor == 'e' ? at - width
							       : at - width / 2;
		const struct plot_box box = {left, middle - 6, left + width, middle + 6};

		if (!is_free(p, &box))
			continue;
		take(p, box);
		write_word(p, at, middle + 4, places[i].anchor, "halo", text, width + 1);
		return;
	}
}

/* --- Axes --- */

/* The least of 1, 2 and 5 times a power of ten that gives TICKS ticks or fewer. */
static double find_step(const struct plot_axis *axis)
{
	const double rough = (axis->high - axis->low) / TICKS, power = pow(10, floor(log10(rough)));

	return power * (rough <= power ? 1 : rough <= 2 * power ? 2 : rough <= 5 * power ? 5 : 10);
}

static void widen(struct plot_axis *axis)
{
	double room;

	if (axis->low > axis->high)
		*axis = (struct plot_axis){axis->name, 0, 1, axis->is_share, axis->has_zero};
	if (axis->has_zero)
		axis->low = fmin(axis->low, 0);
	if (!(axis->high - axis->low > 1e-9)) {
		room = axis->is_share ? 0.05 : fmax(1, fabs(axis->high) / 10);
		axis->low -= room;
		axis->high += room;
	}
	room = PAD * (axis->high - axis->low);
	axis->low -= axis->has_zero && axis->low >= 0 ? 0 : room;
	axis->high += room;
	if (axis->is_share) {
		axis->low = fmax(axis->low, 0);
		axis->high = fmin(axis->high, 1);
	}
}

static void write_tick(const struct plot_axis *axis, double step, double value, char text[32])
{
	const double unit = axis->is_share ? 100 : 1;
	const int decimals = (int)fmax(0, -floor(log10(step * unit) + 1e-9));

	snprintf(text, 32, "%.*f", decimals, value * unit);
}

static double widest_tick(const struct plot_axis *axis)
{
	const double step = find_step(axis);
	double widest = 0;
	char text[32];

	for (double i = ceil(axis->low / step); i * step <= axis->high; i++) {
		write_tick(axis, step, i * step, text);
		widest = fmax(widest, width_of(text));
	}
	return widest;
}

static void draw_ticks(struct plot *p, bool is_x)
{
	const struct plot_axis *axis = is_x ? &p->x : &p->y;
	const double step = find_step(axis);
	char text[32];

	for (double i = ceil(axis->low / step - 1e-9); i * step <= axis->high + 1e-9 * step; i++) {
		const double at = is_x ? across(p, i * step) : down(p, i * step);

		write_tick(axis, step, i * step + 0.0, text);
		if (is_x) {
			fprintf(p->out, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>\n", at, p->inner.top,
				p->inner.bottom);
			write_word(p, at, p->inner.bottom + 18, "middle", "soft", text, 80);
		} else {
			fprintf(p->out, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>\n", p->inner.left, at,
				p->inner.right);
			write_word(p, p->inner.left - 8, at + 4, "end", "soft", text, 100);
		}
	}
}

static const char *const line_classes[] = {"", " dashed", " dotted"};

/* The outline of a shape around a point. */
static void draw_shape(struct plot *p, double x, double y, int colour, enum plot_shape shape)
{
	static const char *const outlines[PLOT_SHAPES] = {
		[PLOT_DISC] = "m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z",
		[PLOT_SQUARE] = "m-4 -4h8v8h-8z",
		[PLOT_TRIANGLE] = "m0 -5l5 9h-10z",
		[PLOT_DIAMOND] = "m0 -5.5l5.5 5.5l-5.5 5.5l-5.5 -5.5z",
		[PLOT_RING] = "m-6 0a6 6 0 1 0 12 0a6 6 0 1 0 -12 0z",
		[PLOT_BOX] = "m-5 -5h10v10h-10z",
		[PLOT_CROSS] = "m-4 -4l8 8m0 -8l-8 8",
		[PLOT_DOWN] = "m0 5l5 -9h-10z",
	};
	const bool is_open = shape == PLOT_RING || shape == PLOT_BOX;

	fprintf(p->out, "<path class=\"mark c%d%s\" d=\"M%.1f %.1f%s\">", colour, is_open ? " open" : "", x, y,
		outlines[shape]);
}

/* The legend, in rows as long as there is room; returns how many.  It is measured before it is drawn. */
static uint32_t write_legend(struct plot *p, const struct plot_entry *entry, uint32_t entries, bool is_drawn)
{
	double x = 0;
	uint32_t row = 0;

	for (uint32_t i = 0; i < entries; i++) {
		const double width = fmin(KEY + width_of(entry[i].text), p->width), y = 48 + ROW * row;

		if (x > 0 && x + width > p->width) {
			x = 0;
			row++;
			i--;
			continue;
		}
		if (is_drawn && entry[i].has_line)
			fprintf(p->out, "<path class=\"line c%d%s\" d=\"M%.1f %.1fh24\"/>\n", entry[i].colour,
				line_classes[entry[i].line], x + 2, y);
		if (is_drawn && entry[i].shape < PLOT_SHAPES) {
			draw_shape(p, x + 14, y, entry[i].colour, entry[i].shape);
			fputs("</path>\n", p->out);
		}
		if (is_drawn)
			write_word(p, x + KEY, y + 4, "start", "", entry[i].text, width - KEY + 1);
		x += width + 18;
	}
	return entries ? row + 1 : 0;
}

void plot_begin(struct plot *p, FILE *out, double width, double height, const char *title, struct plot_axis x,
	struct plot_axis y, const struct plot_entry *entry, uint32_t entries)
{
	*p = (struct plot){.out = out, .x = x, .y = y, .width = width, .height = height};
	widen(&p->x);
	widen(&p->y);
	p->inner = (struct plot_box){fmax(40, widest_tick(&p->y) + 14), 50, width - 24, height - 46};
	p->inner.top += ROW * write_legend(p, entry, entries, false);
	fprintf(out, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"", width, height);
	report_text(out, title);
	fputs("\">\n", out);
	write_word(p, 0, 14, "start", "name", title, width * 0.96);
	write_word(p, 0, 34, "start", "soft", y.name, width);
	write_legend(p, entry, entries, true);
	draw_ticks(p, true);
	draw_ticks(p, false);
	fprintf(out, "<path class=\"axis\" d=\"M%.1f %.1fH%.1f\"/>\n", p->inner.left, p->inner.bottom, p->inner.right);
	write_word(p, p->inner.right, height - 8, "end", "soft", x.name, width);
}

void plot_end(struct plot *p) { fputs("</svg>\n", p->out); }

/* --- What is drawn --- */

/* Cut t0..t1 of a segment to where its coordinate, from a to b, lies within low..high; false: nowhere. */
static bool cut(double a, double b, double low, double high, double *t0, double *t1)
{
	if (a == b)
		return a >= low && a <= high;
	*t0 = fmax(*t0, fmin((low - a) / (b - a), (high - a) / (b - a)));
	*t1 = fmin(*t1, fmax((low - a) / (b - a), (high - a) / (b - a)));
	return *t0 < *t1;
}

void plot_line(struct plot *p, const double *x, const double *y, uint32_t points, int colour, enum plot_line line)
{
	double last_x = NAN, last_y = NAN;

	fprintf(p->out, "<path class=\"line c%d%s\" d=\"", colour, line_classes[line]);
	for (uint32_t i = 1; i < points; i++) {
		double t0 = 0, t1 = 1;

		if (isnan(x[i - 1] + y[i - 1] + x[i] + y[i]) || !cut(x[i - 1], x[i], p->x.low, p->x.high, &t0, &t1) ||
			!cut(y[i - 1], y[i], p->y.low, p->y.high, &t0, &t1))
			continue;
		if (t0 > 0 || x[i - 1] != last_x || y[i - 1] != last_y)
			fprintf(p->out, "M%.1f %.1f", across(p, x[i - 1] + t0 * (x[i] - x[i - 1])),
				down(p, y[i - 1] + t0 * (y[i] - y[i - 1])));
		fprintf(p->out, "L%.1f %.1f", across(p, x[i - 1] + t1 * (x[i] - x[i - 1])),
			down(p, y[i - 1] + t1 * (y[i] - y[i - 1])));
		last_x = t1 < 1 ? NAN : x[i];
		last_y = y[i];
	}
	fputs("\"/>\n", p->out);
}

void plot_level(struct plot *p, double y, const char *word, int colour, enum plot_line line)
{
	fprintf(p->out, "<path class=\"line thin c%d%s\" d=\"M%.1f %.1fH%.1f\"/>\n", colour, line_classes[line],
		p->inner.left, down(p, y), p->inner.right);
	if (word)
		write_word(p, p->inner.right - 2, down(p, y) - 5, "end", "halo soft", word, p->width / 2);
}

void plot_band(struct plot *p, const double *x, const double *low, const double *high, uint32_t points, int colour)
{
	if (points == 0)
		return;
	fprintf(p->out, "<path class=\"band c%d\" d=\"", colour);
	for (uint32_t i = 0; i < points; i++)
		fprintf(p->out, "%c%.1f %.1f", i ? 'L' : 'M', across(p, x[i]), down(p, low[i]));
	for (uint32_t i = points; i-- > 0;)
		fprintf(p->out, "L%.1f %.1f", across(p, x[i]), down(p, high[i]));
	fputs("Z\"/>\n", p->out);
}

void plot_whiskers(
	struct plot *p, double x, double x_low, double x_high, double y, double y_low, double y_high, int colour)
{
	if (!isnan(x_low) && !isnan(x_high))
		fprintf(p->out, "<path class=\"line thin c%d\" d=\"M%.1f %.1fH%.1f\"/>\n", colour, across(p, x_low),
			down(p, y), across(p, x_high));
	if (!isnan(y_low) && !isnan(y_high))
		fprintf(p->out, "<path class=\"line thin c%d\" d=\"M%.1f %.1fV%.1f\"/>\n", colour, across(p, x),
			down(p, y_low), down(p, y_high));
}

void plot_marker(struct plot *p, double x, double y, int colour, enum plot_shape shape, const char *tip)
{
	if (isnan(x) || isnan(y))
		return;
	draw_shape(p, across(p, x), down(p, y), colour, shape);
	fputs("<title>", p->out);
	report_text(p->out, tip);
	fputs("</title></path>\n", p->out);
	take(p, (struct plot_box){
			across(p, x) - MARKER, down(p, y) - MARKER, across(p, x) + MARKER, down(p, y) + MARKER});
}
