/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_CANDIDATES_H
#define MEMDRIFT_PROBE_CANDIDATES_H

/* Which functions of an object are an allocator's, by their names; of use to allocator.c alone. */

#include "probe/allocator.h"
#include "probe/elf_object.h"
#include "probe/named.h"
#include "probe/plt.h"

struct candidate {
	struct elf_function function; /* name is not kept */
	struct family_set names;
	const struct named_function *named; /* by the user, whatever other names it has; or NULL */
};

/* As many plain names with local binding, and as many names that depend on the kind, as there are.
 */
#define PLAIN_MAX   16
#define DEPENDS_MAX 32

struct candidates {
	struct candidate *list;
	size_t count, max;
	bool full;
};

struct candidate_search {
	struct candidate found_list[ALLOCATOR_FUNCTIONS_MAX];
	struct candidate local_list[PLAIN_MAX], depends_list[DEPENDS_MAX];
	struct candidates found;
	struct candidates local;   /* plain names with local binding */
	struct candidates depends; /* FAMILY_DEPENDS */
	unsigned int kinds;        /* bit of each kind that there is evidence for */
	bool has_int_malloc;       /* glibc's malloc proper; not linked where it was replaced */
	struct elf_function arena; /* name is not kept */
};

/* NULL when memory is out; to be freed with free(). */
struct candidate_search *candidate_search__new(void);

/*
 * Fills in `found` and what else the symbols tell. named: functions that the user names, or NULL.
 * 0, -ENOENT when there are none, or what reading gave.
 */
int candidate_search__collect(struct candidate_search *s, struct elf_object *elf,
			      const struct named_object *named);
/* Gives functions that are nothing but a jump to another one to that one: see allocator.h. */
void candidate_search__join_thunks(struct candidate_search *s, const struct elf_object *elf,
				   const struct plt *plt);
/* Whose the plain names are. A static program may carry the traces of several allocators. */
enum allocator_kind candidate_search__plain_kind(const struct candidate_search *s,
						 const struct elf_object *elf);

#endif
