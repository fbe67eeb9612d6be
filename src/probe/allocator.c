// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/allocator.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>

#include "base/log.h"
#include "base/text.h"
#include "probe/allocator_internal.h"
#include "probe/handoff.h"

static const char *const kind_names[] = {
	[ALLOCATOR_UNKNOWN] = "unknown",
	[ALLOCATOR_GLIBC] = "glibc",
	[ALLOCATOR_JEMALLOC] = "jemalloc",
	[ALLOCATOR_TCMALLOC] = "tcmalloc",
	[ALLOCATOR_MIMALLOC] = "mimalloc",
	[ALLOCATOR_MUSL] = "musl",
	[ALLOCATOR_GO] = "go",
};

const char *allocator_kind__name(enum allocator_kind kind)
{
	return (size_t)kind < sizeof(kind_names) / sizeof(kind_names[0]) ? kind_names[kind]
									 : "unknown";
}

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

struct search {
	struct candidate found_list[ALLOCATOR_FUNCTIONS_MAX];
	struct candidate local_list[PLAIN_MAX], depends_list[DEPENDS_MAX];
	struct candidates found;
	struct candidates local;   /* plain names with local binding */
	struct candidates depends; /* FAMILY_DEPENDS */
	unsigned int kinds;        /* bit of each kind that there is evidence for */
	bool has_int_malloc;       /* glibc's malloc proper; not linked where it was replaced */
	struct elf_function arena; /* name is not kept */
};

static struct search *new_search(void)
{
	struct search *s = calloc(1, sizeof(*s));

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

static void collect_name(struct search *s, const struct elf_function *function, size_t name)
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
	struct search *s = ctx;
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
static void add_named(struct search *s, const struct elf_object *elf,
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
static void take_names(struct search *s, const struct candidates *from)
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
static void take_local_names(struct search *s)
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
static enum allocator_kind plain_kind(const struct search *s, const struct elf_object *elf)
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
static void take_depending_names(struct search *s, const struct elf_object *elf)
{
	struct family_set found = all_names(&s->found);

	if (family_set__has_malloc(&found) && family__has_own(plain_kind(s, elf)))
		take_names(s, &s->depends);
}

void allocator_function__choose_site(struct allocator_function *function,
				     const struct elf_object *elf, unsigned int flags,
				     const struct insn_costs *costs)
{
	/* The longest instruction has 15 bytes: enough to name the entry. */
	size_t size = 16;
	uint8_t *code;
	long got;

	if (function->size && function->size <= SITE_CODE_MAX)
		size = function->size;
	else
		flags |= SITE_PARTIAL;
	code = malloc(size);
	if (!code)
		return;
	got = elf_object__read_code(elf, function->file_offset, code, size);
	if (got > 0)
		function->ready =
			!site__choose(code, (size_t)got, function->vaddr, function->file_offset,
				      function->layout, flags, costs, &function->site);
	function->return_site = function->site;
	if (function->ready)
		function->ready = !site__choose(
			code, (size_t)got, function->vaddr, function->file_offset, function->layout,
			flags | SITE_FOR_RETURN, costs, &function->return_site);
	free(code);
}

static int compare_functions(const void *a, const void *b)
{
	const struct allocator_function *x = a, *y = b;

	return (x->file_offset > y->file_offset) - (x->file_offset < y->file_offset);
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
static struct candidate *thunk_target(struct search *s, const struct elf_object *elf,
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

static void join_thunks(struct search *s, const struct elf_object *elf, const struct plt *plt)
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

static void name_function(struct allocator_function *f, const struct candidate *c,
			  enum allocator_kind plain)
{
	const struct family_name *name;

	f->names = c->names;
	if (c->named) {
		f->layout = c->named->layout;
		f->kind = ALLOCATOR_UNKNOWN;
		strlcpy(f->key, c->named->key, sizeof(f->key));
		return;
	}
	/* The plain names come first. */
	name = family__name(family_set__first(&c->names));
	f->layout = name->layout;
	f->kind = name->class == FAMILY_PREFIX ? name->kind : plain;
	family_set__key(&c->names, f->key);
}

/* Where no symbol says how long a function is; 0: nothing else does. */
static uint64_t size_by_frames(const struct elf_object *elf, uint64_t vaddr)
{
	uint64_t start, end;

	return elf_object__function_at(elf, vaddr, &start, &end) || start != vaddr ? 0
										   : end - start;
}

static void fill_functions(struct allocator_object *object, const struct search *s,
			   struct elf_object *elf, const struct plt *plt,
			   const struct insn_costs *costs)
{
	enum allocator_kind plain = plain_kind(s, elf);

	for (size_t i = 0; i < s->found.count; i++) {
		const struct candidate *c = &s->found.list[i];
		struct allocator_function *f = &object->functions[i];

		f->vaddr = c->function.vaddr;
		f->file_offset = c->function.file_offset;
		f->size = c->function.size ? c->function.size : size_by_frames(elf, f->vaddr);
		name_function(f, c, plain);
		allocator_function__choose_site(f, elf, 0, costs);
		object->is_named |= c->named != NULL;
		if (i == 0 || family_set__has_malloc(&c->names))
			object->kind = f->kind;
	}
	object->function_count = s->found.count;
	qsort(object->functions, object->function_count, sizeof(object->functions[0]),
	      compare_functions);
	handoff__mark(object, elf, plt);
}

static struct allocator_object *new_object(const struct elf_object *elf, const struct search *s)
{
	struct allocator_object *object = calloc(1, sizeof(*object));
	const char *soname = elf_object__soname(elf);

	if (!object)
		return NULL;
	object->refs = 1;
	object->functions =
		calloc(s->found.count ? s->found.count : 1, sizeof(object->functions[0]));
	if (!object->functions) {
		free(object);
		return NULL;
	}
	if (soname)
		strlcpy(object->soname, soname, sizeof(object->soname));
	object->is_go = elf_object__is_go(elf);
	object->has_interpreter = elf_object__interpreter(elf);
	object->is_static = elf_object__is_program(elf) && !object->has_interpreter;
	return object;
}

/* Quick for the many files without an allocator: the hash table says so, or there is none. */
static int collect_all(struct elf_object *elf, struct search *s)
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

/* Programs map any file executable, memfds of their own code among them: no ELF, no allocator. */
static bool is_elf(int fd)
{
	char magic[SELFMAG];

	return pread(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
	       !memcmp(magic, ELFMAG, sizeof(magic));
}

int allocator_object__search(int fd, const char *display_name, const char *root,
			     const struct insn_costs *costs, const struct named_object *named,
			     bool go, struct allocator_object **out)
{
	struct go_malloc *go_malloc = NULL;
	struct allocator_object *object;
	struct elf_object *elf;
	struct plt *plt = NULL;
	struct search *s;
	int err;

	*out = NULL;
	if (!is_elf(fd))
		return -ENOENT;
	err = elf_object__open(fd, display_name, &elf);
	if (err)
		return err;
	err = -ENOENT;
	if (!named && starts_with(elf_object__soname(elf), "ld-linux"))
		goto close_elf;
	err = -ENOMEM;
	s = new_search();
	if (!s)
		goto close_elf;
	err = collect_all(elf, s);
	if (err)
		goto free_search;
	take_local_names(s);
	take_depending_names(s, elf);
	add_named(s, elf, named);
	if (go && elf_object__is_go(elf))
		go_malloc = go_malloc__search(elf, display_name, costs);
	err = -ENOENT;
	if (!s->found.count && !go_malloc)
		goto free_search;
	if (s->found.full) {
		char name[256];

		log_warning("%s defines more allocator functions than the %d that are probed",
			    text_printable(name, sizeof(name), display_name),
			    ALLOCATOR_FUNCTIONS_MAX);
	}
	err = -ENOMEM;
	plt = plt__new(elf);
	if (!plt)
		goto free_search;
	join_thunks(s, elf, plt);
	object = new_object(elf, s);
	if (!object) {
		go_malloc__free(go_malloc);
		goto free_search;
	}
	object->go = go_malloc;
	if (!s->found.count)
		object->kind = ALLOCATOR_GO;
	fill_functions(object, s, elf, plt, costs);
	object->usdt_arena_new = elf_object__has_sdt(elf, "libc", "memory_arena_new");
	object->usdt_heap_new = elf_object__has_sdt(elf, "libc", "memory_heap_new");
	if (plain_kind(s, elf) == ALLOCATOR_GLIBC)
		allocator_object__find_arena(object, elf, &s->arena, display_name, root, costs);
	*out = object;
	err = 0;
free_search:
	plt__free(plt);
	free(s);
close_elf:
	elf_object__close(elf);
	return err;
}
