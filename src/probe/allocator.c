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
#include "probe/candidates.h"
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

static void fill_functions(struct allocator_object *object, const struct candidate_search *s,
			   struct elf_object *elf, const struct plt *plt,
			   const struct insn_costs *costs)
{
	enum allocator_kind plain = candidate_search__plain_kind(s, elf);

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

static struct allocator_object *new_object(const struct elf_object *elf,
					   const struct candidate_search *s)
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

static bool is_glibc_loader(const struct elf_object *elf)
{
	const char *soname = elf_object__soname(elf);

	return soname && !strncmp(soname, "ld-linux", strlen("ld-linux"));
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
	struct candidate_search *s;
	int err;

	*out = NULL;
	if (!is_elf(fd))
		return -ENOENT;
	err = elf_object__open(fd, display_name, &elf);
	if (err)
		return err;
	err = -ENOENT;
	if (!named && is_glibc_loader(elf))
		goto close_elf;
	err = -ENOMEM;
	s = candidate_search__new();
	if (!s)
		goto close_elf;
	err = candidate_search__collect(s, elf, named);
	/* Go programs have an allocator of their own, and perhaps no other. */
	if (err && err != -ENOENT)
		goto free_search;
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
	if (!plt) {
		go_malloc__free(go_malloc);
		goto free_search;
	}
	candidate_search__join_thunks(s, elf, plt);
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
	if (candidate_search__plain_kind(s, elf) == ALLOCATOR_GLIBC)
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
