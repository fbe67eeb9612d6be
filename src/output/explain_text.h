/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_EXPLAIN_TEXT_H
#define MEMDRIFT_OUTPUT_EXPLAIN_TEXT_H

#include "base/units.h"
#include "output/explain.h"
#include "output/text.h"

/* The sections of an explanation in text; shared by src/output/explain_*.c only. */

/* Rows of a list that is cut unless options->all. */
#define TOP_EXPLAIN_ARENAS  4
#define TOP_EXPLAIN_CLASSES 3

/* A component as people say it: "malloc arenas". */
const char *component__label(enum ledger_component component);

/* Who the process is, what its memory is held by, and what helps. */
void explain_text__heading(struct text_writer *writer, const struct explain_report *report);
void explain_text__advice(struct text_writer *writer, const struct advice_list *advice);
/* All resident bytes by component, and what that was checked against. */
void explain_text__ledger(struct text_writer *writer, const struct explanation *explanation);
void explain_text__glibc(struct text_writer *writer, const struct explanation *explanation);
void explain_text__go(struct text_writer *writer, const struct explanation *explanation);
void explain_text__allocators(struct text_writer *writer, const struct explanation *explanation);
/* Threads, swap, huge pages, page tables, the control group, and what the reading did. */
void explain_text__beside(struct text_writer *writer, const struct explanation *explanation);
void explain_text__cost(struct text_writer *writer, const struct explanation *explanation);

/* Resident bytes as the kernel has them, or as added up where the two could not be compared. */
uint64_t explanation__rss_bytes(const struct explanation *explanation);

/* Heap in use minus allocated; -1 where one of them is unknown. */
int64_t go_facts__fragmentation_bytes(const struct go_facts *go);

/* "go1.19.8" -> "Go 1.19.8". */
const char *explain_text__go_version(char *buf, size_t size, const char *version);

/* A raw path for a line of text: printable, the end of it where it is long. */
#define SHORT_PATH_MAX 256
const char *explain_text__path(char buf[SHORT_PATH_MAX], const char *raw);

/* A report through a FILE that only takes ASCII where options->utf8 is false. */
typedef void (*explain_write_fn)(struct text_writer *writer, const void *what);
int explain_text__emit(FILE *out, const struct text_options *options, explain_write_fn write,
		       const void *what);

/* Checks of one explanation by name, for text and JSON: all are of bytes. */
struct explain_check {
	const char *name;    /* in JSON: "rss", "glibc_walked" */
	const char *found;   /* "the table's sum" */
	const char *against; /* "Rss less the vDSO" */
	struct check check;
};

#define EXPLAIN_CHECKS_MAX 8
size_t explain_checks__list(const struct explanation *explanation,
			    struct explain_check checks[EXPLAIN_CHECKS_MAX]);
/* Arenas whose walk agrees with their own books. */
size_t glibc_census__agreeing(const struct glibc_census *census);

#endif
