/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_FAMILY_H
#define MEMDRIFT_PROBE_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/site.h"

enum allocator_kind {
	ALLOCATOR_UNKNOWN, /* a program's or sanitizer's own */
	ALLOCATOR_GLIBC,
	ALLOCATOR_JEMALLOC,
	ALLOCATOR_TCMALLOC,
	ALLOCATOR_MIMALLOC,
	ALLOCATOR_MUSL,
	ALLOCATOR_GO, /* Go's own, where it is searched for */
};

/* "glibc", "jemalloc", …, "unknown". */
const char *allocator_kind__name(enum allocator_kind kind);

/* Six aliases of the longest name fit; an alias that does not is left out of the key. */
#define ALLOCATOR_KEY_MAX 128

/*
 * The names that allocators' entry points have, by index. The plain C names come first: a plain
 * function of any object is taken for what its name says.
 */
#define FAMILY_MAX 256

enum family_class {
	FAMILY_PLAIN,   /* malloc, …: the C names, in whatever object */
	FAMILY_PREFIX,  /* je_malloc, mi_zalloc, …: the prefix is proof enough */
	FAMILY_DEPENDS, /* operator new, mallocx, …: only beside a malloc of an allocator that has
			   such entry points of its own, see family__has_own */
};

struct family_name {
	const char *symbol;
	const char *shown; /* in keys; "operator new[]" */
	/*
	 * Symbols that mean the same for the one who counts: where one of them is the same
	 * function, this name is not shown ("operator delete[]" beside "operator delete"). NULL:
	 * none.
	 */
	const char *like[2];
	enum arg_layout layout;
	enum allocator_kind kind; /* of the prefix; else unknown until evidence is in */
	enum family_class class;
};

size_t family__size(void);
const struct family_name *family__name(size_t index);
/* The index of a symbol's name, or -1. */
int family__find(const char *symbol);

/* A set of names. All zero is the empty set. */
struct family_set {
	uint64_t words[FAMILY_MAX / 64];
};

void family_set__add(struct family_set *set, size_t name);
bool family_set__has(const struct family_set *set, size_t name);
void family_set__join(struct family_set *set, const struct family_set *other);
void family_set__remove(struct family_set *set, const struct family_set *other);
/* The lowest index in it: the plain name when there is one. family__size() when it is empty. */
size_t family_set__first(const struct family_set *set);
/* Whether the set has malloc, or free (the plain names). */
bool family_set__has_malloc(const struct family_set *set);
bool family_set__has_free(const struct family_set *set);

/*
 * The names sorted and joined by "|", without those that another one of the set stands for; one
 * that does not fit is left out.
 */
void family_set__key(const struct family_set *set, char key[ALLOCATOR_KEY_MAX]);

/* Whether allocators of this kind define FAMILY_DEPENDS names that do not go through malloc. */
bool family__has_own(enum allocator_kind kind);

/* C++'s operator new or delete. */
bool family_name__is_operator(const struct family_name *name);

/* A layout by the role that a user gives a function ("malloc", …). 0 or -EINVAL. */
int family__role(const char *role, enum arg_layout *layout);

#endif
