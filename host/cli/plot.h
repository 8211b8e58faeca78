/* SPDX-License-Identifier: Apache-2.0 */
/* Plots as inline SVG, for reports. */
#ifndef VETO_PLOT_H
#define VETO_PLOT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PLOT_LABELS 192

/* What a plot shows of an axis; plot_include() widens it. */
struct plot_axis {
	const char *name; /* with its unit */
	double low, high; /* low > high: nothing yet */
	bool is_share; /* 0 to 1, written in percent, and never beyond */
	bool has_zero; /* begins at 0 */
};

/* How something is drawn: a colour, 0 to 7; markers also have a shape of their own, so that grey is enough. */
enum plot_shape {
	PLOT_DISC,
	PLOT_SQUARE,
	PLOT_TRIANGLE,
	PLOT_DIAMOND,
	PLOT_RING,
	PLOT_BOX,
	PLOT_CROSS,
	PLOT_DOWN,
	PLOT_SHAPES
};
enum plot_line { PLOT_SOLID, PLOT_DASHED, PLOT_DOTTED };

struct plot_box {
	double left, top, right, bottom;
};

struct plot {
	FILE *out;
	struct plot_axis x, y;
	double width, height;
	struct plot_box inner; /* where values are drawn */
	struct plot_box taken[PLOT_LABELS]; /* by markers and labels */
	uint32_t takens;
};

/* An entry of a legend: a marker, PLOT_SHAPES for none, on a line or not. */
struct plot_entry {
	const char *text;
	int colour;
	enum plot_shape shape;
	bool has_line;
	enum plot_line line;
};

void plot_include(struct plot_axis *axis, double value);
/* Begin a plot of so many units of a screen, with axes that hold everything that will be drawn. */
void plot_begin(struct plot *p, FILE *out, double width, double height, const char *title, struct plot_axis x,
	struct plot_axis y, const struct plot_entry *entry, uint32_t entries);
void plot_end(struct plot *p);

/* A line breaks where a value is NAN, and ends where the axes do. */
void plot_line(struct plot *p, const double *x, const double *y, uint32_t points, int colour, enum plot_line line);
/* A line from the left to the right, with a word on it, or NULL. */
void plot_level(struct plot *p, double y, const char *word, int colour, enum plot_line line);
void plot_band(struct plot *p, const double *x, const double *low, const double *high, uint32_t points, int colour);
/* Intervals around a point; NAN: none that way. */
void plot_whiskers(
	struct plot *p, double x, double x_low, double x_high, double y, double y_low, double y_high, int colour);
/* `tip` is shown when pointed at. */
void plot_marker(struct plot *p, double x, double y, int colour, enum plot_shape shape, const char *tip);
/* A word beside a point, where nothing is yet; where there is no such place it is left out. */
void plot_word(struct plot *p, double x, double y, const char *text);

#endif
