/* SPDX-License-Identifier: Apache-2.0 */
/* Writes reports as HTML. */
#include "report.h"
#include "cli.h"
#include "json.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- The file --- */

int report_open(const char *command, const char *path, struct report *out)
{
	struct stat there;
	mode_t mask;
	int fd;

	*out = (struct report){.path = path};
	if (stat(path, &there) == 0 && !S_ISREG(there.st_mode))
		return failed(command, "can't write '%s': it is no regular file", path);
	if (asprintf(&out->temporary, "%s.XXXXXX", path) < 0) {
		out->temporary = NULL;
		return failed(command, "out of memory");
	}
	fd = mkostemp(out->temporary, O_CLOEXEC);
	if (fd >= 0) {
		mask = umask(0);
		umask(mask);
		fchmod(fd, 0666 & ~mask);
		out->out = fdopen(fd, "w");
	}
	if (out->out)
		return EXIT_DONE;
	say(command, "can't write '%s': %m", path);
	if (fd >= 0) {
		close(fd);
		unlink(out->temporary);
	}
	free(out->temporary);
	out->temporary = NULL;
	return EXIT_FAILED;
}

int report_close(const char *command, struct report *r, bool is_whole)
{
	int status = EXIT_DONE;
	bool has_error, is_closed;

	if (!r->out)
		return EXIT_DONE;
	has_error = ferror(r->out); /* why is not known any more, unless closing says it */
	is_closed = fclose(r->out) == 0;
	r->out = NULL;
	if (is_whole && is_closed && has_error)
		status = failed(command, "can't write '%s'", r->path);
	else if (is_whole && (!is_closed || rename(r->temporary, r->path)))
		status = failed(command, "can't write '%s': %m", r->path);
	if (!is_whole || status)
		unlink(r->temporary);
	free(r->temporary);
	r->temporary = NULL;
	return status;
}

/* --- Text --- */

void report_text(FILE *out, const char *text)
{
	while (*text) {
		const int bytes = json_utf8_length(text);

		if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '>')
			fputs("&gt;", out);
		else if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '"')
			fputs("&quot;", out);
		else if (bytes == 0 || (bytes == 1 && (*text < ' ' || *text == 0x7f)))
			fputs(*text == '\n' || *text == '\t' ? " " : "\xef\xbf\xbd", out);
		else
			fwrite(text, 1, (size_t)bytes, out);
		text += bytes ? bytes : 1;
	}
}

static void write_text(struct report *r, const char *format, va_list arguments)
{
	char *text;

	if (vasprintf(&text, format, arguments) < 0)
		return;
	report_text(r->out, text);
	free(text);
}

#define WRITE_TEXT(r, format)                                                                                          \
	do {                                                                                                           \
		va_list arguments;                                                                                     \
		va_start(arguments, format);                                                                           \
		write_text(r, format, arguments);                                                                      \
		va_end(arguments);                                                                                     \
	} while (0)

/* --- The document --- */

/* Colours that the colour-blind tell apart (Okabe and Ito); in the dark they are lighter.  On paper everything is black and
 * dark. */
static const char style[] =
	":root{--paper:#fff;--ink:#1b1f24;--soft:#59636e;--rule:#d5dae0;--faint:#eceff2;"
	"--c0:#1b1f24;--c1:#0072b2;--c2:#c04f00;--c3:#007d5d;--c4:#a8518a;--c5:#8a6d00;--c6:#2f86bd;color-scheme:light dark}\n"
	"@media (prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#e7eaed;--soft:#a2abb5;--rule:#3a4149;--faint:#22272c;"
	"--c0:#e7eaed;--c1:#6bb8ea;--c2:#f59a56;--c3:#4cc7a2;--c4:#e2a0c9;--c5:#dfc14d;--c6:#9bd0f0}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0 auto;max-width:64rem;padding:2.5rem 1.5rem 4rem;background:var(--paper);color:var(--ink);"
	"font:16px/1.55 system-ui,-apple-system,\"Segoe UI\",Roboto,\"Helvetica Neue\",\"Liberation Sans\",\"DejaVu Sans\",sans-serif}\n"
	"h1{font-size:1.75rem;line-height:1.2;margin:0 0 1.25rem;letter-spacing:-.01em}\n"
	"h2{font-size:1.2rem;line-height:1.3;margin:3rem 0 .6rem;padding-top:.8rem;border-top:1px solid var(--rule)}\n"
	"p{max-width:46rem;margin:.6rem 0}\n"
	"dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.25rem;margin:0;font-size:.9rem}\n"
	"dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}\n"
	"figure{margin:1.25rem 0 1.75rem}\n"
	"figure .plots{display:grid;gap:1rem}\n"
	"figure.pair .plots{grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr))}\n"
	"figcaption,.caption{font-size:.875rem;color:var(--soft);max-width:46rem}\n"
	"figcaption{margin-top:.5rem}.caption{margin-top:1.25rem;break-after:avoid}\n"
	"svg{display:block;width:100%;height:auto}\n"
	".scroll{overflow-x:auto;margin:.4rem 0 1.5rem}\n"
	"table{border-collapse:collapse;font-size:.875rem;line-height:1.4}\n"
	"th,td{padding:.32rem .9rem .32rem 0;vertical-align:top;text-align:left;border-bottom:1px solid var(--faint)}\n"
	"thead th{border-bottom:1px solid var(--ink);font-weight:600;vertical-align:bottom}\n"
	"tbody th{font-weight:400}\n"
	"tbody tr:last-child>*{border-bottom:1px solid var(--rule)}\n"
	".n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\n"
	"thead .n{white-space:normal}\n"
	".t{overflow-wrap:break-word}\n"
	"svg text{font:12px system-ui,-apple-system,\"Segoe UI\",Roboto,\"Liberation Sans\",\"DejaVu Sans\",sans-serif;fill:var(--ink)}\n"
	"svg .soft{fill:var(--soft);font-variant-numeric:tabular-nums}svg .name{font-weight:600;font-size:13px}\n"
	"svg .halo{paint-order:stroke;stroke:var(--paper);stroke-width:3px;stroke-linejoin:round}\n"
	"svg .grid{stroke:var(--faint);stroke-width:1}svg .axis{stroke:var(--soft);stroke-width:1}\n"
	"svg .mark{fill:currentColor;stroke:currentColor;stroke-width:1.5}svg .open{fill:none}\n"
	"svg .line{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}\n"
	"svg .dashed{stroke-dasharray:7 5}svg .dotted{stroke-dasharray:1 5}svg .thin{stroke-width:1}\n"
	"svg .band{fill:currentColor;fill-opacity:.14;stroke:none}\n"
	".c0{color:var(--c0)}.c1{color:var(--c1)}.c2{color:var(--c2)}.c3{color:var(--c3)}.c4{color:var(--c4)}.c5{color:var(--c5)}"
	".c6{color:var(--c6)}.c7{color:var(--soft)}\n"
	"@page{size:A4;margin:16mm}\n"
	"@media print{:root{--paper:#fff;--ink:#000;--soft:#444;--rule:#bbb;--faint:#ddd;--c0:#000;--c1:#0072b2;--c2:#b34700;"
	"--c3:#006b50;--c4:#94437a;--c5:#705800;--c6:#2f86bd;color-scheme:light}\n"
	"html{font-size:12px}body{max-width:none;padding:0;font-size:1rem}p,.caption,figcaption{max-width:none}\n"
	"h2{margin-top:1.6rem;break-after:avoid}\n"
	"figure,tr{break-inside:avoid}thead{display:table-header-group}.scroll{overflow:visible}table{font-size:10.5px}\n"
	"th,td{padding-right:.7rem}figure.pair .plots{grid-template-columns:1fr 1fr}}\n";

void report_begin(struct report *r, const char *title)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
		r->out);
	report_text(r->out, title);
	fprintf(r->out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n<h1>", style);
	report_text(r->out, title);
	fputs("</h1>\n", r->out);
}

void report_end(struct report *r) { fputs("</main>\n</body>\n</html>\n", r->out); }

void report_heading(struct report *r, const char *id, const char *text)
{
	fprintf(r->out, "<h2 id=\"%s\">", id);
	report_text(r->out, text);
	fputs("</h2>\n", r->out);
}

void report_paragraph(struct report *r, const char *format, ...)
{
	fputs("<p>", r->out);
	WRITE_TEXT(r, format);
	fputs("</p>\n", r->out);
}

void report_terms_begin(struct report *r) { fputs("<dl>\n", r->out); }

void report_term(struct report *r, const char *term, const char *format, ...)
{
	fputs("<dt>", r->out);
	report_text(r->out, term);
	fputs("</dt><dd>", r->out);
	WRITE_TEXT(r, format);
	fputs("</dd>\n", r->out);
}

void report_terms_end(struct report *r) { fputs("</dl>\n", r->out); }

/* --- Tables --- */

void report_table_begin(struct report *r, const char *id, const char *caption)
{
	fprintf(r->out, "<p class=\"caption\" id=\"%s-caption\">", id);
	report_text(r->out, caption);
	fprintf(r->out, "</p>\n<div class=\"scroll\"><table id=\"%s\" aria-labelledby=\"%s-caption\">\n<thead>\n", id,
		id);
	r->is_header = true;
}

void report_row_begin(struct report *r)
{
	fputs("<tr>", r->out);
	r->is_first = true;
}

/* A cell's start, and the tag that ends it. */
static const char *cell_begin(struct report *r, const char *class)
{
	const bool is_name = r->is_header || r->is_first;

	fprintf(r->out, "<%s class=\"%s\"%s>", is_name ? "th" : "td", class,
		r->is_header  ? " scope=\"col\""
		: r->is_first ? " scope=\"row\""
			      : "");
	r->is_first = false;
	return is_name ? "</th>" : "</td>";
}

void report_cell(struct report *r, const char *format, ...)
{
	const char *end = cell_begin(r, "t");
	va_list arguments;
	char *text, *rest, *part;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	/* A line may break after a comma, as between the parameters of a rule. */
	for (rest = text; rest && (part = strsep(&rest, ","));) {
		report_text(r->out, part);
		fputs(rest ? ",<wbr>" : "", r->out);
	}
	free(text);
	fputs(end, r->out);
}

void report_number(struct report *r, const char *format, ...)
{
	const char *end = cell_begin(r, "n");

	WRITE_TEXT(r, format);
	fputs(end, r->out);
}

void report_row_end(struct report *r)
{
	fputs(r->is_header ? "</tr>\n</thead>\n<tbody>\n" : "</tr>\n", r->out);
	r->is_header = false;
}

void report_table_end(struct report *r) { fputs("</tbody>\n</table></div>\n", r->out); }

/* --- Figures --- */

void report_figure_begin(struct report *r, const char *id, bool is_pair)
{
	fprintf(r->out, "<figure id=\"%s\"%s>\n<div class=\"plots\">\n", id, is_pair ? " class=\"pair\"" : "");
}

void report_figure_end(struct report *r, const char *format, ...)
{
	fputs("</div>\n<figcaption>", r->out);
	WRITE_TEXT(r, format);
	fputs("</figcaption>\n</figure>\n", r->out);
}
