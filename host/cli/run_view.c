/* SPDX-License-Identifier: Apache-2.0 */
/* The live view of a run on a terminal. */
#include "run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define REDRAW_NS 200000000 /* five times a second */

struct run_view {
	uint32_t lines; /* on the screen */
	struct timespec last;
};

static const char *const states[] = {
	[VETO_WAITING] = "waiting",
	[VETO_LIVE] = "writing",
	[VETO_OUT] = "out",
	[VETO_FINISHED] = "finished",
	[VETO_GONE] = "lost",
};

struct run_view *run_view_open(void) { return isatty(STDERR_FILENO) ? calloc(1, sizeof(struct run_view)) : NULL; }

static uint32_t screen_lines(uint32_t *columns)
{
	struct winsize size;

	*columns = 80;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_row < 4)
		return 20;
	if (size.ws_col >= 20)
		*columns = size.ws_col;
	return size.ws_row - 3u;
}

static const char *state_name(const struct run_candidate *c)
{
	if (c->has_verdict)
		return c->verdict.kind == VETO_REJECT ? "rejected" : "settled";
	return c->is_cut_off ? "cut off" : states[c->state];
}

/* One line of the prompt, whatever is in it. */
static void draw_title(const char *title, uint32_t columns)
{
	size_t length = strlen(title);

	if (length >= columns)
		for (length = columns - 1; length > 0 && (title[length] & 0xc0) == 0x80;)
			length--;
	for (size_t i = 0; i < length; i++)
		fputc((unsigned char)title[i] < ' ' || title[i] == 0x7f ? ' ' : title[i], stderr);
	fputs("\033[K\n", stderr);
}

static void draw_candidate(uint32_t index, const struct run_candidate *c, uint32_t columns)
{
	char line[160];
	int used = snprintf(line, sizeof(line), "%4u %-9s %6u tokens", index, state_name(c), c->tokens);

	if (c->score.has >> VETO_SELF_CERTAINTY & 1)
		snprintf(line + used, sizeof(line) - (size_t)used, "  self-certainty %8.4f  confidence %8.4f",
			(double)c->score.field[VETO_SELF_CERTAINTY].low / 0x1p20,
			(double)c->score.field[VETO_TOPK_CONFIDENCE].low / 0x1p20);
	fprintf(stderr, "%.*s\033[K\n", (int)columns - 1, line);
}

void run_view_clear(struct run_view *view)
{
	if (!view || view->lines == 0)
		return;
	fprintf(stderr, "\033[%uA\033[J", view->lines);
	view->lines = 0;
}

void run_view_draw(struct run_view *view, const char *title, const struct run_candidate *candidate, uint32_t candidates)
{
	uint32_t columns, limit;
	struct timespec now;

	if (!view)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if ((now.tv_sec - view->last.tv_sec) * 1000000000 + now.tv_nsec - view->last.tv_nsec < REDRAW_NS)
		return;
	view->last = now;
	run_view_clear(view);
	limit = screen_lines(&columns);
	draw_title(title, columns);
	for (uint32_t i = 0; i < candidates && i < limit; i++)
		draw_candidate(i, &candidate[i], columns);
	view->lines = 1 + (candidates < limit ? candidates : limit);
	if (candidates > limit) {
		fprintf(stderr, "     and %u more\n", candidates - limit);
		view->lines++;
	}
}

void run_view_close(struct run_view *view)
{
	run_view_clear(view);
	free(view);
}
