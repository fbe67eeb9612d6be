// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/candidates.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "probe/allocator_internal.h"

/* Functions by which allocators give themselves away, all with the plain names in one object. */
static const struct {
	const char *name;
	enum allocator_kind kind;
} evidence[] = {
	{"gnu_get_libc_version", ALLOCATOR_GLIBC},
	{"mallctl", ALLOCATOR_JEMALLOC},
	{"mi_version", ALLOCATOR_MIMALLOC},
	{"tc_version", ALLOCATOR_TCMALLOC},
	{"MallocExtension_GetNumericProperty", ALLOCATOR_TCMALLOC},
	{"MallocExtension_Internal_GetNumericProperty", ALLOCATOR_TCMALLOC},
	{"__dls3", ALLOCATOR_MUSL},
	{"__libc_malloc_impl", ALLOCATOR_MUSL},
};

struct candidate_search *candidate_search__new(void)
{
	struct candidate_search *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->found = (struct candidates){.list = s->found_list, .max = ALLOCATOR_FUNCTIONS_MAX};
	s->local = (struct candidates){.list = s->local_list, .max = PLAIN_MAX};
	s->depends = (struct candidates){.list = s->depends_list, .max = DEPENDS_MAX};
	return s;
}

static struct candidate *candidate_at(struct candidates *candidates, uint64_t vaddr)
{
	for (size_t i = 0; i < candidates->count; i++)
		if (candidates->list[i].function.vaddr == vaddr)
			return &candidates->list[i];
	return NULL;
}

static void add_candidate(struct candidates *candidates, const struct elf_function *function,
			  const struct family_set *names)
{
	struct candidate *c = candidate_at(candidates, function->vaddr);

	if (!c && candidates->count == candidates->max) {
		candidates->full = true;
		return;
	}
	if (!c) {
		c = &candidates->list[candidates->count++];
		*c = (struct candidate){.function = *function};
	}
	family_set__join(&c->names, names);
	/* One alias may lack a size; the function has the longest that any alias states. */
	if (function->size > c->function.size)
		c->function.size = function->size;
}

static void collect_name(struct candidate_search *s, const struct elf_function *function,
			 size_t name)
{
	struct family_set names = {0};

	family_set__add(&names, name);
	/* A prefix is proof enough; a plain name of a hidden function may be anything. */
	if (family__name(name)->class == FAMILY_DEPENDS)
		add_candidate(&s->depends, function, &names);
	else if (function->local && family__name(name)->class == FAMILY_PLAIN)
		add_candidate(&s->local, function, &names);
	else
		add_candidate(&s->found, function, &names);
}

static int collect(void *ctx, const struct elf_function *function)
{
	struct candidate_search *s = ctx;
	int name = family__find(function->name);

	if (name >= 0) {
		collect_name(s, function, (size_t)name);
		return 0;
	}
	s->has_int_malloc |= !strcmp(function->name, "_int_malloc");
	for (size_t i = 0; i < sizeof(evidence) / sizeof(evidence[0]); i++) {
		if (!strcmp(function->name, evidence[i].name))
			s->kinds |= 1u << evidence[i].kind;
	}
	/* The whole function is better than the part that the compiler split off it. */
	if (arena_symbol__matches(function->name) &&
	    (!s->arena.vaddr || !strcmp(function->name, "arena_get2")))
		s->arena = *function;
	return 0;
}

/* What the user says a function is counts for more than its name. */
static void add_named(struct candidate_search *s, const struct elf_object *elf,
		      const struct named_object *named)
{
	for (size_t i = 0; named && i < named->count; i++) {
		const struct named_function *f = &named->functions[i];
		struct elf_function function = {.vaddr = f->vaddr, .size = f->size};
		const struct family_set none = {{0}};
		struct candidate *c;

		if (elf_object__file_offset(elf, f->vaddr, &function.file_offset))
			continue;
		add_candidate(&s->found, &function, &none);
		c = candidate_at(&s->found, f->vaddr);
		if (c)
			c->named = f;
	}
}

static struct family_set all_names(const struct candidates *candidates)
{
	struct family_set names = {0};

	for (size_t i = 0; i < candidates->count; i++)
		family_set__join(&names, &candidates->list[i].names);
	return names;
}

/* A name that is taken is not given to another function. */
static void take_names(struct candidate_search *s, const struct candidates *from)
{
	struct family_set taken = all_names(&s->found);

	for (size_t i = 0; i < from->count; i++) {
		struct family_set names = from->list[i].names;

		family_set__remove(&names, &taken);
		if (family_set__first(&names) < family__size())
			add_candidate(&s->found, &from->list[i].function, &names);
	}
}

/*
 * Static position-independent programs have malloc as a local symbol beside a visible free, and
 * programs linked with hidden visibility have all of them local. So local ones are taken when the
 * object is an allocator beyond doubt: with malloc or free visible, or both local.
 */
static void take_local_names(struct candidate_search *s)
{
	struct family_set visible = all_names(&s->found), local = all_names(&s->local);

	if (family_set__has_malloc(&visible) || family_set__has_free(&visible) ||
	    (family_set__has_malloc(&local) && family_set__has_free(&local)))
		take_names(s, &s->local);
}

static bool starts_with(const char *text, const char *prefix)
{
	return text && !strncmp(text, prefix, strlen(prefix));
}

/* Whose the plain names are. A static program may carry the traces of several allocators. */
enum allocator_kind candidate_search__plain_kind(const struct candidate_search *s,
						 const struct elf_object *elf)
{
	const char *soname = elf_object__soname(elf);
	/* A static program has gnu_get_libc_version whatever its malloc is: last. */
	static const enum allocator_kind order[] = {ALLOCATOR_JEMALLOC, ALLOCATOR_TCMALLOC,
						    ALLOCATOR_MIMALLOC, ALLOCATOR_MUSL,
						    ALLOCATOR_GLIBC};

	if (soname && !strcmp(soname, "libc.so.6") && s->kinds & 1u << ALLOCATOR_GLIBC)
		return ALLOCATOR_GLIBC;
	if (starts_with(soname, "libjemalloc"))
		return ALLOCATOR_JEMALLOC;
	if (starts_with(soname, "libtcmalloc"))
		return ALLOCATOR_TCMALLOC;
	if (starts_with(soname, "libmimalloc"))
		return ALLOCATOR_MIMALLOC;
	if (s->has_int_malloc)
		return ALLOCATOR_GLIBC;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (s->kinds & 1u << order[i])
			return order[i];
	}
	return ALLOCATOR_UNKNOWN;
}

/*
 * C++'s operators of libstdc++ and libc++ call malloc, where the call is counted; only allocators
 * that serve them without it are asked for theirs. A static program has either kind's.
 */
static void take_depending_names(struct candidate_search *s, const struct elf_object *elf)
{
	struct family_set found = all_names(&s->found);

	if (family_set__has_malloc(&found) && family__has_own(candidate_search__plain_kind(s, elf)))
		take_names(s, &s->depends);
}

/* Where a chain of nothing but jumps ends; name: of the family when it goes there by name, or -1.
 */
static uint64_t end_of_thunks(const struct elf_object *elf, const struct plt *plt, uint64_t vaddr,
			      int *name)
{
	struct plt_target target;
	uint64_t next;

	*name = -1;
	/* mimalloc's longest has three. */
	for (int i = 0; i < 8 && plt__is_thunk(elf, vaddr, &next); i++) {
		vaddr = next;
		if (!plt__entry_at(plt, vaddr, &target))
			continue;
		*name = target.name;
		if (!target.vaddr)
			break;
		vaddr = target.vaddr;
	}
	return vaddr;
}

/* The function that this one is when it is an operator, or frees, and does nothing but jump. */
static struct candidate *thunk_target(struct candidate_search *s, const struct elf_object *elf,
				      const struct plt *plt, const struct candidate *c)
{
	const struct family_name *name;
	struct candidate *target;
	uint64_t vaddr;
	int by_name;

	if (c->named)
		return NULL;
	name = family__name(family_set__first(&c->names));
	if (name->layout != ARG_FREE && !family_name__is_operator(name))
		return NULL;
	vaddr = end_of_thunks(elf, plt, c->function.vaddr, &by_name);
	target = candidate_at(&s->found, vaddr);
	for (size_t i = 0; by_name >= 0 && !target && i < s->found.count; i++)
		if (family_set__has(&s->found.list[i].names, (size_t)by_name))
			target = &s->found.list[i];
	if (!target || target == c || target->named ||
	    family__name(family_set__first(&target->names))->layout != name->layout)
		return NULL;
	return target;
}

void candidate_search__join_thunks(struct candidate_search *s, const struct elf_object *elf,
				   const struct plt *plt)
{
	size_t i = 0;

	while (i < s->found.count) {
		struct candidate *c = &s->found.list[i];
		struct candidate *target = thunk_target(s, elf, plt, c);

		if (!target) {
			i++;
			continue;
		}
		family_set__join(&target->names, &c->names);
		*c = s->found.list[--s->found.count];
	}
}

/* Quick for the many files without an allocator: the hash table says so, or there is none. */
static int collect_all(struct elf_object *elf, struct candidate_search *s)
{
	static const char *const names[] = {
		"malloc",    "calloc",    "free",    "je_malloc",      "_rjem_malloc", "tc_malloc",
		"mi_malloc", "sn_malloc", "realloc", "posix_memalign", "aligned_alloc"};
	int err = 0;

	if (elf_object__may_export(elf, names, sizeof(names) / sizeof(names[0])))
		err = elf_object__each_function(elf, ELF_DYNSYM, collect, s);
	if (!err)
		err = elf_object__each_function(elf, ELF_SYMTAB, collect, s);
	return err;
}

int candidate_search__collect(struct candidate_search *s, struct elf_object *elf,
			      const struct named_object *named)
{
	int err = collect_all(elf, s);

	if (err)
		return err;
	take_local_names(s);
	take_depending_names(s, elf);
	add_named(s, elf, named);
	return s->found.count ? 0 : -ENOENT;
}
