/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_ANALYSIS_EXPLAIN_SIDE_H
#define MEMDRIFT_ANALYSIS_EXPLAIN_SIDE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "census/claims.h"

/*
 * One side of a comparison of two readings by `memdrift explain`: what its JSON (schema
 * memdrift.explain/1) says. A file is anyone's: all of it is checked, every text is made printable,
 * and no figure is above EXPLAIN_BYTES_MAX, so that sums and differences cannot overflow.
 */

/* The largest user address space of x86-64 (five-level page tables) has 2^56 bytes. */
#define EXPLAIN_BYTES_MAX (1LL << 56)

/* A member of the JSON that is compared. */
struct explain_figure {
	const char *section; /* "glibc", "go", "jemalloc"; NULL: of the object itself */
	const char *key;
	const char *label; /* for people */
	bool is_count;     /* else bytes */
};

/* In place of a figure: the process has no such section, as a C program has no Go heap. */
#define EXPLAIN_NONE (-2)

#define EXPLAIN_FIGURES 30
extern const struct explain_figure explain_figures[EXPLAIN_FIGURES];

struct explain_side {
	char *file; /* printable; NULL: read just now */
	int64_t pid;
	int64_t start_ticks; /* -1: unknown */
	char *comm, *exe;    /* printable; NULL: unknown */
	char *go_version;    /* printable; NULL: none */
	char *malloc_owner;  /* printable; NULL: unknown */
	int64_t rss_bytes;
	/* 0 where the report has no such row. */
	int64_t resident_bytes[LEDGER_COMPONENTS], reserved_bytes[LEDGER_COMPONENTS];
	int64_t figures[EXPLAIN_FIGURES]; /* -1: unknown; or EXPLAIN_NONE */
};

#define EXPLAIN_ERROR_MAX 512

/*
 * 0; or -EINVAL (no such report), -EFBIG, -ENOMEM or what reading failed with: `error` then says
 * which file, where in it, and what was expected, and *side is empty. Free with
 * explain_side__free().
 */
int explain_side__read(struct explain_side *side, const char *path, char error[EXPLAIN_ERROR_MAX]);
/* The same of an open stream, which `name` stands for. */
int explain_side__parse(struct explain_side *side, FILE *in, const char *name,
			char error[EXPLAIN_ERROR_MAX]);
/* The same of an object just built. */
int explain_side__take(struct explain_side *side, const json_t *root,
		       char error[EXPLAIN_ERROR_MAX]);
void explain_side__free(struct explain_side *side);

/* Whether both are readings of one process. */
bool explain_side__same_process(const struct explain_side *a, const struct explain_side *b);

#endif
