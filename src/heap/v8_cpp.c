// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdbool.h>

#include "heap/allocators_scan.h"
#include "heap/v8_internal.h"

#define PAGE_ALIGN (128ull << 10)

/* So many pages that name one heap make a cage: chance would be of one or two. */
#define PAGES_MIN 4u
#define CAGES_MAX 16u

struct cage {
	uint64_t base;
	uint64_t heap;
	unsigned int pages, others; /* heads that name it, and heads that are something else */
};

struct search {
	struct subject *subject;
	struct cage cages[CAGES_MAX];
	size_t count;
};

/* The heap and its spaces are allocated elsewhere. */
static bool is_elsewhere(const struct search *s, uint64_t base, uint64_t addr)
{
	return addr % 8 == 0 && (addr & ~(V8_CAGE_BYTES - 1)) != base &&
	       scan__is_anonymous_rw(s->subject, addr, addr + 8);
}

static int note_page(void *ctx, uint64_t addr, const uint64_t *words)
{
	uint64_t base = addr & ~(V8_CAGE_BYTES - 1);
	struct search *s = ctx;
	struct cage *cage = NULL;
	bool fits;

	for (size_t i = 0; i < s->count; i++)
		if (s->cages[i].base == base)
			cage = &s->cages[i];
	fits = is_elsewhere(s, base, words[0]) && is_elsewhere(s, base, words[1]);
	if (!cage && fits && s->count < CAGES_MAX) {
		cage = &s->cages[s->count++];
		*cage = (struct cage){.base = base, .heap = words[0]};
	}
	if (cage && fits && cage->heap == words[0])
		cage->pages++;
	else if (cage && words[0])
		cage->others++;
	return 0;
}

int v8_cpp__read(struct subject *subject, struct claims *claims)
{
	struct search s = {.subject = subject};
	int err = scan__each_head(subject, PAGE_ALIGN, 16, note_page, &s);

	/* Large pages have other things at their multiples. */
	for (size_t i = 0; !err && i < s.count; i++)
		if (s.cages[i].pages >= PAGES_MIN && s.cages[i].pages > s.cages[i].others)
			err = v8_cage__claim(subject, claims, s.cages[i].base,
					     "cage in which pages name V8's heap of C++ objects");
	return err;
}
