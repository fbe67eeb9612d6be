/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_TABLE_H
#define MEMDRIFT_OUTPUT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Rows of short cells in aligned columns, two blanks apart, indented by two, cut where the line
 * ends. Cells are printable already. Running out of memory shows in table__print().
 */
#define REPORT_COLUMNS    100 /* of a line, unless the terminal has fewer */
#define TABLE_COLUMNS_MAX 10

struct table {
	/* One letter per column: 'l' left, 'r' right. The last column takes what width is left. */
	const char *align;
	size_t columns;
	char **cells; /* row by row, owned */
	size_t count, room;
	bool failed;
};

void table__init(struct table *table, const char *align);
/* The next cell, row by row; copied. */
void table__add(struct table *table, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Fills up the row that was begun. */
void table__end_row(struct table *table);
/* Of one that is not printed. */
void table__free(struct table *table);
/*
 * Prints, in lines of so many columns, and frees. The first row is the head when has_head: in
 * colour it is dim. 0 or -ENOMEM.
 */
int table__print(struct table *table, FILE *out, size_t line_columns, bool has_head, bool colour);

/* A paragraph, wrapped at blanks; later lines are indented by two more. */
void text_paragraph(FILE *out, size_t line_columns, unsigned int indent, const char *text);

#endif
