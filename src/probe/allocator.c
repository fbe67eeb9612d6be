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

struct family_name {
	const char *name;
	enum arg_layout layout;
	enum allocator_kind kind; /* of the prefix; plain names: unknown until evidence is in */
};

#define FAMILY(prefix, kind)                                                               \
	{prefix "malloc", ARG_SIZE, kind}, {prefix "calloc", ARG_NMEMB_SIZE, kind},        \
		{prefix "realloc", ARG_REALLOC, kind},                                     \
		{prefix "reallocarray", ARG_REALLOCARRAY, kind},                           \
		{prefix "posix_memalign", ARG_POSIX_MEMALIGN, kind},                       \
		{prefix "aligned_alloc", ARG_ALIGNED, kind},                               \
		{prefix "memalign", ARG_ALIGNED, kind}, {prefix "valloc", ARG_SIZE, kind}, \
		{prefix "pvalloc", ARG_SIZE, kind},                                        \
	{                                                                                  \
		prefix "free", ARG_FREE, kind                                              \
	}

/*
 * Prefixes: je_ is what jemalloc's manual proposes (ristretto, Redis), _rjem_ Rust's jemalloc
 * crates, sn_ snmalloc. At most 64 names: sets of them are one word.
 */
static const struct family_name family[] = {
	FAMILY("", ALLOCATOR_UNKNOWN),        FAMILY("je_", ALLOCATOR_JEMALLOC),
	FAMILY("_rjem_", ALLOCATOR_JEMALLOC), FAMILY("tc_", ALLOCATOR_TCMALLOC),
	FAMILY("mi_", ALLOCATOR_MIMALLOC),    FAMILY("sn_", ALLOCATOR_UNKNOWN),
};

#define FAMILY_SIZE  (sizeof(family) / sizeof(family[0]))
#define PLAIN_COUNT  10
#define PLAIN_NAMES  ((1ull << PLAIN_COUNT) - 1)
#define PLAIN_MALLOC (1ull << 0)
#define PLAIN_FREE   (1ull << 9)

_Static_assert(FAMILY_SIZE <= 64, "a set of names is one word");

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
	uint64_t vaddr;
	uint64_t file_offset;
	uint64_t size;
	uint64_t names;
};

struct search {
	struct candidate found[ALLOCATOR_FUNCTIONS_MAX];
	size_t count;
	bool full;
	struct candidate local[PLAIN_COUNT]; /* plain names with local binding */
	size_t local_count;
	unsigned int kinds;        /* bit of each kind that there is evidence for */
	bool has_int_malloc;       /* glibc's malloc proper; not linked where it was replaced */
	struct elf_function arena; /* name is not kept */
};

static void add_candidate(struct candidate *list, size_t *count, size_t max, bool *full,
			  const struct elf_function *function, size_t name)
{
	struct candidate *c = NULL;

	for (size_t i = 0; i < *count && !c; i++) {
		if (list[i].vaddr == function->vaddr)
			c = &list[i];
	}
	if (!c) {
		if (*count == max) {
			*full = true;
			return;
		}
		c = &list[(*count)++];
		*c = (struct candidate){.vaddr = function->vaddr,
					.file_offset = function->file_offset,
					.size = function->size};
	}
	c->names |= 1ull << name;
	/* One alias may lack a size; the function has the longest that any alias states. */
	if (function->size > c->size)
		c->size = function->size;
}

static size_t find_family_name(const char *name)
{
	size_t i;

	/* Nearly every symbol ends here: names of the family have these first letters. */
	if (!strchr("mcrpavfj_ts", name[0]))
		return FAMILY_SIZE;
	for (i = 0; i < FAMILY_SIZE; i++) {
		if (name[0] == family[i].name[0] && !strcmp(name, family[i].name))
			break;
	}
	return i;
}

static int collect(void *ctx, const struct elf_function *function)
{
	struct search *s = ctx;
	size_t name = find_family_name(function->name);
	bool full = false;

	if (name < FAMILY_SIZE) {
		/* A prefix is proof enough; a plain name of a hidden function may be anything. */
		if (function->local && (PLAIN_NAMES >> name & 1))
			add_candidate(s->local, &s->local_count, PLAIN_COUNT, &full, function,
				      name);
		else
			add_candidate(s->found, &s->count, ALLOCATOR_FUNCTIONS_MAX, &s->full,
				      function, name);
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

/*
 * Static position-independent programs have malloc as a local symbol beside a visible free, and
 * programs linked with hidden visibility have all of them local. So local ones are taken when the
 * object is an allocator beyond doubt: with malloc or free visible, or both local. A visible
 * function's name is not given to another one.
 */
static void take_local_names(struct search *s)
{
	uint64_t visible = 0, local = 0;

	for (size_t i = 0; i < s->count; i++)
		visible |= s->found[i].names;
	for (size_t i = 0; i < s->local_count; i++)
		local |= s->local[i].names;
	if (!(visible & (PLAIN_MALLOC | PLAIN_FREE)) &&
	    (local & (PLAIN_MALLOC | PLAIN_FREE)) != (PLAIN_MALLOC | PLAIN_FREE))
		return;
	for (size_t i = 0; i < s->local_count; i++) {
		const struct candidate *c = &s->local[i];
		const struct elf_function function = {
			.vaddr = c->vaddr, .file_offset = c->file_offset, .size = c->size};

		for (size_t name = 0; name < PLAIN_COUNT; name++) {
			if ((c->names & ~visible) >> name & 1)
				add_candidate(s->found, &s->count, ALLOCATOR_FUNCTIONS_MAX,
					      &s->full, &function, name);
		}
	}
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

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void write_key(char key[ALLOCATOR_KEY_MAX], uint64_t names)
{
	const char *sorted[FAMILY_SIZE] = {NULL};
	size_t count = 0;

	for (size_t i = 0; i < FAMILY_SIZE; i++) {
		if (names >> i & 1)
			sorted[count++] = family[i].name;
	}
	qsort(sorted, count, sizeof(sorted[0]), compare_names);
	key[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		if (strlen(key) + strlen(sorted[i]) + 2 > ALLOCATOR_KEY_MAX)
			continue;
		if (key[0])
			strlcat(key, "|", ALLOCATOR_KEY_MAX);
		strlcat(key, sorted[i], ALLOCATOR_KEY_MAX);
	}
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
	if (function->ready && function->layout != ARG_FREE)
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

static void fill_functions(struct allocator_object *object, const struct search *s,
			   const struct elf_object *elf, const struct insn_costs *costs)
{
	enum allocator_kind plain = plain_kind(s, elf);

	for (size_t i = 0; i < s->count; i++) {
		struct allocator_function *f = &object->functions[i];
		/* The lowest bit is the plain name when there is one. */
		size_t first = (size_t)__builtin_ctzll(s->found[i].names);

		f->vaddr = s->found[i].vaddr;
		f->file_offset = s->found[i].file_offset;
		f->size = s->found[i].size;
		f->layout = family[first].layout;
		f->kind = first < PLAIN_COUNT ? plain : family[first].kind;
		write_key(f->key, s->found[i].names);
		allocator_function__choose_site(f, elf, 0, costs);
		if (i == 0 || s->found[i].names & PLAIN_MALLOC)
			object->kind = f->kind;
	}
	object->function_count = s->count;
	qsort(object->functions, object->function_count, sizeof(object->functions[0]),
	      compare_functions);
	handoff__mark(object, elf);
}

static struct allocator_object *new_object(const struct elf_object *elf, const struct search *s)
{
	struct allocator_object *object = calloc(1, sizeof(*object));
	const char *soname = elf_object__soname(elf);

	if (!object)
		return NULL;
	object->refs = 1;
	object->functions = calloc(s->count ? s->count : 1, sizeof(object->functions[0]));
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
			     const struct insn_costs *costs, bool go, struct allocator_object **out)
{
	struct go_malloc *go_malloc = NULL;
	struct allocator_object *object;
	struct elf_object *elf;
	struct search *s;
	int err;

	*out = NULL;
	if (!is_elf(fd))
		return -ENOENT;
	err = elf_object__open(fd, display_name, &elf);
	if (err)
		return err;
	err = -ENOENT;
	if (starts_with(elf_object__soname(elf), "ld-linux"))
		goto close_elf;
	err = -ENOMEM;
	s = calloc(1, sizeof(*s));
	if (!s)
		goto close_elf;
	err = collect_all(elf, s);
	if (err)
		goto free_search;
	take_local_names(s);
	if (go && elf_object__is_go(elf))
		go_malloc = go_malloc__search(elf, display_name, costs);
	err = -ENOENT;
	if (!s->count && !go_malloc)
		goto free_search;
	if (s->full) {
		char name[256];

		log_warning("%s defines more allocator functions than the %d that are probed",
			    text_printable(name, sizeof(name), display_name),
			    ALLOCATOR_FUNCTIONS_MAX);
	}
	err = -ENOMEM;
	object = new_object(elf, s);
	if (!object) {
		go_malloc__free(go_malloc);
		goto free_search;
	}
	object->go = go_malloc;
	if (!s->count)
		object->kind = ALLOCATOR_GO;
	fill_functions(object, s, elf, costs);
	object->usdt_arena_new = elf_object__has_sdt(elf, "libc", "memory_arena_new");
	object->usdt_heap_new = elf_object__has_sdt(elf, "libc", "memory_heap_new");
	if (plain_kind(s, elf) == ALLOCATOR_GLIBC)
		allocator_object__find_arena(object, elf, &s->arena, display_name, root, costs);
	*out = object;
	err = 0;
free_search:
	free(s);
close_elf:
	elf_object__close(elf);
	return err;
}
