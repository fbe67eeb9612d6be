// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>

#include "base/log.h"
#include "base/text.h"
#include "probe/allocator_internal.h"

/*
 * glibc's arena_get2 (malloc/arena.c) gives a thread an arena, new or reused. It is static, so only
 * a full symbol table has it: the object's own, or that of its separate debug file.
 */

bool arena_symbol__matches(const char *name)
{
	static const char wanted[] = "arena_get2";

	if (strncmp(name, wanted, sizeof(wanted) - 1))
		return false;
	name += sizeof(wanted) - 1;
	return !*name || !strncmp(name, ".part.", 6) || !strncmp(name, ".isra.", 6) ||
	       !strncmp(name, ".constprop.", 11);
}

struct arena_search {
	struct elf_function found;
	bool exact;
};

static int match_arena(void *ctx, const struct elf_function *function)
{
	struct arena_search *s = ctx;

	if (s->exact || !arena_symbol__matches(function->name))
		return 0;
	s->found = *function;
	s->exact = !function->name[sizeof("arena_get2") - 1];
	return 0;
}

static int search_debug_file(const struct elf_object *elf, const char *root,
			     const char *display_name, struct elf_function *found)
{
	struct arena_search s = {0};
	struct elf_object *debug;
	int fd, err;

	fd = elf_object__open_debug_file(elf, root);
	if (fd < 0)
		return fd;
	err = elf_object__open(fd, display_name, &debug);
	if (!err) {
		err = elf_object__each_function(debug, ELF_SYMTAB, match_arena, &s);
		*found = s.found;
		elf_object__close(debug);
	}
	close(fd);
	if (err)
		return err;
	return found->vaddr ? 0 : -ENOENT;
}

void allocator_object__find_arena(struct allocator_object *object, struct elf_object *elf,
				  const struct elf_function *own, const char *display_name,
				  const char *root, const struct insn_costs *costs)
{
	struct elf_function found = *own;
	enum arena_symbol source = ARENA_SYMBOL_OWN;
	char name[256];

	text_printable(name, sizeof(name), display_name);
	if (!found.vaddr) {
		int err = -ENOENT;

		source = ARENA_SYMBOL_DEBUG_FILE;
		if (root)
			err = search_debug_file(elf, root, display_name, &found);
		if (err)
			err = search_debug_file(elf, "/", display_name, &found);
		if (err) {
			log_debug("no arena_get2 for %s: no symbol table and no debug file (%s)",
				  name, strerror(-err));
			return;
		}
	}
	/* A debug file's own offsets mean nothing: the code is in the object. */
	if (elf_object__file_offset(elf, found.vaddr, &found.file_offset)) {
		log_warning("arena_get2 of %s is said to lie outside its code", name);
		return;
	}
	strlcpy(object->arena_get2.key, "arena_get2", sizeof(object->arena_get2.key));
	object->arena_get2.layout = ARG_SIZE;
	object->arena_get2.kind = ALLOCATOR_GLIBC;
	object->arena_get2.vaddr = found.vaddr;
	object->arena_get2.file_offset = found.file_offset;
	object->arena_get2.size = found.size;
	allocator_function__choose_site(&object->arena_get2, elf, SITE_FOR_RETURN, costs);
	if (object->arena_get2.ready)
		object->arena_symbol = source;
}
