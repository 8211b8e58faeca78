/* SPDX-License-Identifier: Apache-2.0 */
/* Reports: one HTML file that refers to nothing outside of it, readable on a screen and in print. */
#ifndef VETO_REPORT_H
#define VETO_REPORT_H

#include <stdbool.h>
#include <stdio.h>

struct report {
	FILE *out; /* NULL: is not open */
	const char *path;
	char *temporary; /* beside path, until it is whole */
	bool is_header; /* the row of a table that is being written names its columns */
	bool is_first; /* the next cell is the first of its row */
};

/* Open a report that will stand at `path`; a file that stands there stays until report_close().  EXIT_FAILED, having said
 * so, if it can't be written; a path that is no regular file is refused. */
int report_open(const char *command, const char *path, struct report *out);
/* Put it in its place, or throw it away; EXIT_FAILED, having said so, if that fails.  One that is not open is ignored. */
int report_close(const char *command, struct report *r, bool is_whole);

/* Text with what HTML reads otherwise escaped; bytes that are not UTF-8 become U+FFFD. */
void report_text(FILE *out, const char *text);

/* Parts of a document, in their order.  The arguments of formats are escaped as a whole. */
void report_begin(struct report *r, const char *title);
void report_heading(struct report *r, const char *id, const char *text);
void report_paragraph(struct report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Terms and what they are. */
void report_terms_begin(struct report *r);
void report_term(struct report *r, const char *term, const char *format, ...) __attribute__((format(printf, 3, 4)));
void report_terms_end(struct report *r);
/* A table: a caption, a row that names the columns, and rows of cells; the first cell of a row names it.  Cells of numbers
 * stand to the right. */
void report_table_begin(struct report *r, const char *id, const char *caption);
void report_row_begin(struct report *r);
void report_cell(struct report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void report_number(struct report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void report_row_end(struct report *r);
void report_table_end(struct report *r);
/* A figure of one or more plots side by side, and a sentence that says how to read it. */
void report_figure_begin(struct report *r, const char *id, bool is_pair);
void report_figure_end(struct report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void report_end(struct report *r);

#endif
