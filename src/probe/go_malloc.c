// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/go_malloc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "analysis/size_class.h"
#include "base/log.h"
#include "base/text.h"
#include "probe/go_site.h"

/* From cmd/compile/internal/ssa/rewrite.go of 1.27, and runtime/_mkmalloc of 1.26 (mallocTiny). */
static const char *const specialized[] = {
	"runtime.mallocgcSmallScanNoHeaderSC",
	"runtime.mallocgcSmallNoScanSC",
	"runtime.mallocgcTinySC",
	"runtime.mallocTiny",
};

#define SPECIALIZED (sizeof(specialized) / sizeof(specialized[0]))
/* These have the class's number in their name, the others not or mean something else. */
#define NUMBERED 2

struct search {
	struct go_malloc *go;
	size_t room;
	unsigned int class_max; /* largest number in a name */
	bool full;
	bool has_mallocgc;
};

/* The number behind one of the names, or -1. */
static int match_number(const char *name, size_t *which)
{
	for (*which = 0; *which < SPECIALIZED; ++*which) {
		size_t length = strlen(specialized[*which]);
		const char *digits = name + length;

		if (strncmp(name, specialized[*which], length))
			continue;
		/* A part that was moved away has a suffix: "...SC2.cold", "...SC2-fm". */
		if (!*digits || strspn(digits, "0123456789") != strlen(digits) ||
		    strlen(digits) > 3)
			return -1;
		return atoi(digits);
	}
	return -1;
}

static int collect(void *ctx, const struct elf_function *function)
{
	struct search *s = ctx;
	struct go_malloc_function *added = NULL;
	bool is_mallocgc;
	size_t which;
	int number;

	/* Nearly every symbol ends here. */
	if (strncmp(function->name, "runtime.malloc", strlen("runtime.malloc")))
		return 0;
	is_mallocgc = !strcmp(function->name, GO_MALLOC_KEY);
	number = is_mallocgc ? 0 : match_number(function->name, &which);
	if (number < 0)
		return 0;
	s->has_mallocgc |= is_mallocgc;
	if (!is_mallocgc && which < NUMBERED && (unsigned int)number > s->class_max)
		s->class_max = (unsigned int)number;
	/* A wrapper of another calling convention has the same name and is the smaller one. */
	for (size_t i = 0; i < s->go->count && !added; i++) {
		added = &s->go->functions[i];
		if (strcmp(added->name, function->name))
			added = NULL;
		else if (added->size >= function->size)
			return 0;
	}
	if (!added) {
		if (s->go->count == s->room) {
			s->full = true;
			return 0;
		}
		added = &s->go->functions[s->go->count++];
	}
	strlcpy(added->name, function->name, sizeof(added->name));
	added->vaddr = function->vaddr;
	added->file_offset = function->file_offset;
	added->size = function->size;
	return 0;
}

static void choose_site(struct go_malloc *go, struct go_malloc_function *function,
			const struct elf_object *elf, const struct insn_costs *costs)
{
	uint8_t *code;
	long got;
	int err = -ENOTSUP;

	if (!function->size || function->size > SITE_CODE_MAX)
		return;
	code = malloc(function->size);
	if (!code)
		return;
	got = elf_object__read_code(elf, function->file_offset, code, function->size);
	if (got == (long)function->size)
		err = go_site__choose(code, (size_t)got, function->vaddr, function->file_offset,
				      costs, &function->site);
	free(code);
	function->ready = !err;
	go->stack_args |= err == -EPROTOTYPE;
}

/* "go1.22.1", or "devel go1.23-0a1b2c3 …"; experiments follow: "go1.22.1 X:noallocheaders". */
static void read_version(struct go_malloc *go, const struct elf_object *elf)
{
	char text[128], *number;

	/* Before 1.18 it is kept in another way; those have no headers. */
	if (!elf_object__go_version(elf, text, sizeof(text)))
		return;
	number = strstr(text, "go1.");
	if (!number)
		return;
	go->headers = strtoul(number + strlen("go1."), NULL, 10) >= 22 &&
		      !strstr(number, "noallocheaders");
	number[strcspn(number, " ")] = '\0';
	text_printable(go->version, sizeof(go->version), number);
}

/* The largest size of a class, by the number that Go's runtime gives it. */
static uint32_t class_end(unsigned int number)
{
	uint64_t size = 0;

	while (number--)
		size = size_class__bytes(SIZE_RULES_GO, size + 1);
	return (uint32_t)size;
}

static int compare_functions(const void *a, const void *b)
{
	const struct go_malloc_function *x = a, *y = b;

	return (x->file_offset > y->file_offset) - (x->file_offset < y->file_offset);
}

static int find_functions(struct search *s, struct elf_object *elf)
{
	int err = elf_object__each_function(elf, ELF_SYMTAB, collect, s);

	/* Stripped, or a symbol table of what is linked with others alone. */
	if (!err && !s->has_mallocgc) {
		s->go->count = s->class_max = 0;
		err = elf_object__each_go_function(elf, collect, s);
	}
	return err;
}

struct go_malloc *go_malloc__search(struct elf_object *elf, const char *display_name,
				    const struct insn_costs *costs)
{
	struct go_malloc *go = calloc(1, sizeof(*go));
	struct search s = {.go = go, .room = GO_FUNCTIONS_MAX};
	char name[256];
	int err;

	if (!go)
		return NULL;
	go->functions = calloc(s.room, sizeof(*go->functions));
	err = go->functions ? find_functions(&s, elf) : -ENOMEM;
	if (err == -EPROTOTYPE) {
		go->stack_args = true;
		return go;
	}
	if (err || s.full || !s.has_mallocgc || s.class_max > 26) {
		log_debug("no %s that can be counted in %s: %s", GO_MALLOC_KEY,
			  text_printable(name, sizeof(name), display_name),
			  err ? strerror(-err) : "its functions are not those that are known");
		go_malloc__free(go);
		return NULL;
	}
	qsort(go->functions, go->count, sizeof(*go->functions), compare_functions);
	for (size_t i = 0; i < go->count; i++)
		choose_site(go, &go->functions[i], elf, costs);
	go->handed_max = class_end(s.class_max);
	read_version(go, elf);
	return go;
}

void go_malloc__free(struct go_malloc *go)
{
	if (!go)
		return;
	free(go->functions);
	free(go);
}
