/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_ANALYSIS_ADVICE_H
#define MEMDRIFT_ANALYSIS_ADVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "census/explanation.h"

/* One thing that would help, only where there is evidence for it. */
struct advice {
	const char *id;     /* "malloc-trim", "malloc-arena-max", "gomemlimit", "thread-stack-size",
			     * "thp", "other-allocator", "bounded-by-configuration", ... */
	char text[320];     /* what to do */
	char evidence[320]; /* which figures speak for it */
	char risk[200];     /* what it may cost; "" none known */
	bool has_saving;
	uint64_t saving_low_bytes, saving_high_bytes; /* the truth lies between */
	char why_no_saving[200];                      /* when it cannot be predicted */
};

#define ADVICE_MAX 12
/* Lines of the sum behind GOMEMLIMIT. */
#define MEMLIMIT_TERMS_MAX 16

struct memlimit_term {
	const char *name; /* "limit of the container", "malloc arenas", "margin" */
	int64_t bytes;    /* negative: taken off */
};

struct advice_list {
	struct advice items[ADVICE_MAX];
	size_t count;
	struct memlimit_term terms[MEMLIMIT_TERMS_MAX]; /* of GOMEMLIMIT; none when not advised */
	size_t term_count;
	int64_t gomemlimit_bytes; /* 0: not advised */
};

/* What holds the memory, in one or two sentences, and whether it is a leak as far as one look
 * can tell. */
struct verdict {
	enum component main; /* the component with most resident bytes that explains the size */
	char text[640];
};

/* margin_bytes: left free below the limit for GOMEMLIMIT. */
void advice__give(const struct explanation *explanation, uint64_t margin_bytes,
		  struct advice_list *out);
void verdict__decide(const struct explanation *explanation, struct verdict *out);

#endif
