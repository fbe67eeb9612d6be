// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "output/bar.h"

#define INDENT 2
#define GAP    2

void table__init(struct table *table, const char *align)
{
	*table = (struct table){.align = align, .columns = strlen(align)};
}

static void put_cell(struct table *table, char *text)
{
	if (!text) {
		table->failed = true;
		return;
	}
	if (table->count == table->room) {
		size_t room = table->room ? 2 * table->room : 64;
		char **bigger = reallocarray(table->cells, room, sizeof(*bigger));

		if (!bigger) {
			table->failed = true;
			free(text);
			return;
		}
		table->cells = bigger;
		table->room = room;
	}
	table->cells[table->count++] = text;
}

void table__add(struct table *table, const char *fmt, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	put_cell(table, text);
}

void table__end_row(struct table *table)
{
	while (!table->failed && table->count % table->columns)
		put_cell(table, strdup(""));
}

static void measure(const struct table *table, size_t widths[TABLE_COLUMNS_MAX])
{
	for (size_t i = 0; i < table->count; i++) {
		size_t width = text_columns(table->cells[i]);

		if (width > widths[i % table->columns])
			widths[i % table->columns] = width;
	}
}

/* Prints at most `room` columns of a text, with an ellipsis where it was cut. */
static void print_cut(FILE *out, const char *text, size_t room)
{
	size_t columns = 0;
	const char *end = text;

	if (text_columns(text) <= room) {
		fputs(text, out);
		return;
	}
	while (*end && columns + 1 < room) {
		do
			end++;
		while ((*end & 0xc0) == 0x80);
		columns++;
	}
	fwrite(text, 1, (size_t)(end - text), out);
	if (room)
		fputs("…", out);
}

static void print_row(const struct table *table, FILE *out, size_t line_columns, char *const *cells,
		      const size_t widths[TABLE_COLUMNS_MAX])
{
	size_t used = INDENT, pending = INDENT;

	for (size_t i = 0; i < table->columns; i++) {
		size_t columns = text_columns(cells[i]);
		size_t pad = columns < widths[i] ? widths[i] - columns : 0;
		size_t begin = used + (table->align[i] == 'r' ? pad : 0);

		if (table->align[i] == 'r')
			pending += pad;
		/* Blanks are only printed when something follows. */
		if (columns && begin < line_columns) {
			fprintf(out, "%*s", (int)pending, "");
			pending = 0;
			print_cut(out, cells[i], line_columns - begin);
		}
		used += widths[i] + GAP;
		pending += GAP + (table->align[i] == 'r' ? 0 : pad);
	}
	fputc('\n', out);
}

void table__free(struct table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	*table = (struct table){0};
}

int table__print(struct table *table, FILE *out, size_t line_columns, bool has_head, bool colour)
{
	size_t widths[TABLE_COLUMNS_MAX] = {0};
	int err = table->failed ? -ENOMEM : 0;

	if (!err) {
		measure(table, widths);
		for (size_t i = 0; i < table->count; i += table->columns) {
			bool dim = colour && has_head && !i;

			fputs(dim ? "\033[2m" : "", out);
			print_row(table, out, line_columns, table->cells + i, widths);
			fputs(dim ? "\033[0m" : "", out);
		}
	}
	table__free(table);
	return err;
}

/* Bytes up to the next blank where a line may end: "64.0 MB" stays together. */
static size_t unbroken(const char *text)
{
	size_t bytes = strcspn(text, " "), unit;

	if (!text[bytes] || !bytes || text[bytes - 1] < '0' || text[bytes - 1] > '9')
		return bytes;
	unit = strspn(text + bytes + 1, "BkMGTPEsminhd%/.,;:");
	if (unit && unit <= 5 && strchr(" ", text[bytes + 1 + unit]))
		bytes += 1 + unit;
	return bytes;
}

void text_paragraph(FILE *out, size_t line_columns, unsigned int indent, const char *text)
{
	unsigned int lead = indent;
	size_t used = 0;

	while (*text) {
		size_t bytes = unbroken(text);
		char word[512];
		size_t columns;

		snprintf(word, sizeof(word), "%.*s", (int)bytes, text);
		columns = text_columns(word);
		if (used && used + 1 + columns > line_columns) {
			fputc('\n', out);
			used = 0;
			lead = indent + 2;
		}
		if (used)
			fputc(' ', out);
		else
			fprintf(out, "%*s", (int)lead, "");
		used += used ? 1 + columns : lead + columns;
		fwrite(text, 1, bytes, out);
		text += bytes + strspn(text + bytes, " ");
	}
	fputc('\n', out);
}
