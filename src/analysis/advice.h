/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_ANALYSIS_ADVICE_H
#define MEMDRIFT_ANALYSIS_ADVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "census/explanation.h"

/*
 * One thing that would help, only where there is evidence for it. The saving is what the process
 * would have less resident at the same point of its life with that one piece of advice followed;
 * savings of several do not add up. A range is never wider than a factor of two: what would be is
 * not predicted.
 */
struct advice {
	const char *id;     /* "malloc-trim", "malloc-arena-max", "other-allocator",
			     * "jemalloc-decay", "jemalloc-fragmentation", "gomemlimit",
			     * "go-free-os-memory", "gogc", "go-heap-fragmentation",
			     * "thread-stack-size", "thp", "bounded-by-configuration" */
	char text[320];     /* what to do */
	char evidence[320]; /* which figures speak for it */
	char risk[200];     /* what it may cost; "" none known */
	bool has_saving;
	uint64_t saving_low_bytes, saving_high_bytes; /* the truth lies between */
	char why_no_saving[200];                      /* when it cannot be predicted */
};

#define ADVICE_MAX 16
/* Lines of the sum behind GOMEMLIMIT: every component but Go's two, the container's limit, page
 * tables, the margin. */
#define MEMLIMIT_TERMS_MAX 24

struct memlimit_term {
	const char *name; /* "limit of the container", "malloc-arenas", "page tables", "margin" */
	int64_t bytes;    /* negative: taken off */
};

struct advice_list {
	struct advice items[ADVICE_MAX];
	size_t count;
	/* The sum that gomemlimit_bytes is; none when that is not advised. */
	struct memlimit_term terms[MEMLIMIT_TERMS_MAX];
	size_t term_count;
	int64_t gomemlimit_bytes; /* 0: not advised */
};

/* Left free below the limit when nobody says otherwise. */
#define MEMLIMIT_MARGIN_BYTES (400ULL << 20)

/* What holds the memory, in one or two sentences, and whether it is a leak as far as one look
 * can tell. */
struct verdict {
	enum ledger_component
		main; /* the component with most resident bytes that explains the size */
	char text[640];
};

/* margin_bytes: left free below the limit for GOMEMLIMIT. The largest saving comes first, what is
 * not predicted last. */
void advice__give(const struct explanation *explanation, uint64_t margin_bytes,
		  struct advice_list *out);
void verdict__decide(const struct explanation *explanation, struct verdict *out);

#endif
