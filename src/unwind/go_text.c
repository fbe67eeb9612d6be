// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/go_text.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/*
 * runtime/asm_amd64.s, asmcgocall, up to Go 1.20, whose assembler gives it no frame of its own: rsp
 * as it enters, on the goroutine's stack, is kept in rdx. Later ones push rbp first, and there the
 * frame pointer leads to the caller by itself.
 */
static const uint8_t entry_code[] = {
	0x48, 0x8b, 0x44, 0x24, 0x08, /* mov 8(%rsp),%rax: the function to call */
	0x48, 0x8b, 0x5c, 0x24, 0x10, /* mov 0x10(%rsp),%rbx: its argument */
	0x48, 0x89, 0xe2,             /* mov %rsp,%rdx */
};

/* On g0's stack, the goroutine's stack by its depth: the two words that the rule reads. */
static const uint8_t switch_code[] = {
	0x48, 0x89, 0x7c, 0x24, 0x30, /* mov %rdi,0x30(%rsp): g */
	0x48, 0x8b, 0x7f, 0x08,       /* mov 8(%rdi),%rdi: g.stack.hi */
	0x48, 0x29, 0xd7,             /* sub %rdx,%rdi */
	0x48, 0x89, 0x7c, 0x24, 0x28, /* mov %rdi,0x28(%rsp) */
	0x48, 0x89, 0xdf,             /* mov %rbx,%rdi */
	0x48, 0x89, 0xd9,             /* mov %rbx,%rcx */
	0xff, 0xd0,                   /* call *%rax */
};

/* The same without a g to switch from. */
static const uint8_t stay_code[] = {
	0x48, 0xc7, 0x44, 0x24, 0x30, 0, 0, 0, 0, /* movq $0,0x30(%rsp) */
	0x48, 0x89, 0x54, 0x24, 0x28,             /* mov %rdx,0x28(%rsp) */
	0x48, 0x89, 0xdf,                         /* mov %rbx,%rdi */
	0x48, 0x89, 0xd9,                         /* mov %rbx,%rcx */
	0xff, 0xd0,                               /* call *%rax */
};

/* Bytes of `call *%rax`, the last of both: the row lasts as long. */
#define CALL_BYTES 2

/* It is 174 bytes long, and padded. */
#define FUNCTION_MAX_BYTES 512

struct search {
	const struct elf_object *obj;
	struct frame_rows *rows;
	int err;
};

static size_t count_before(const struct frame_rows *rows, uint64_t vaddr)
{
	const struct unwind_rule *rule = frame_rows__find(rows, vaddr);

	if (!rule)
		return 0;
	return (size_t)((const char *)rule - (const char *)&rows->rows[0].rule) /
		       sizeof(rows->rows[0]) +
	       1;
}

/* Puts a row of `size` bytes in, where all around is a gap: no FDE claims this code. */
static int insert_row(struct frame_rows *rows, uint64_t vaddr, uint64_t size,
		      struct unwind_rule rule)
{
	size_t at = count_before(rows, vaddr), tail = rows->count - at;
	int err;

	if (!at || !size || size > UINT64_MAX - vaddr ||
	    !unwind_rule__equal(rows->rows[at - 1].rule, frame_gap_rule) ||
	    (tail && rows->rows[at].vaddr < vaddr + size))
		return 0;
	/* Two at the end, so that there is room for them; then the others move up. */
	err = frame_rows__append(rows, UINT64_MAX - 1, rule);
	if (err)
		return err;
	err = frame_rows__append(rows, UINT64_MAX, frame_gap_rule);
	if (err) {
		rows->count--;
		return err;
	}
	memmove(&rows->rows[at + 2], &rows->rows[at], tail * sizeof(rows->rows[0]));
	rows->rows[at] = (struct frame_row){vaddr, rule};
	rows->rows[at + 1] = (struct frame_row){vaddr + size, frame_gap_rule};
	return 0;
}

static int add_after(struct search *search, const struct elf_function *function,
		     const uint8_t *code, size_t size, const uint8_t *pattern, size_t pattern_size)
{
	const uint8_t *found = memmem(code, size, pattern, pattern_size);

	if (!found)
		return 0;
	return insert_row(search->rows,
			  function->vaddr + (uint64_t)(found - code) + pattern_size - CALL_BYTES,
			  CALL_BYTES, (struct unwind_rule){.kind = UNWIND_GO_SWITCH});
}

/* By its code, which is what the rule is about: versions may have it from their distributor. */
static int add_switch(struct search *search, const struct elf_function *function)
{
	uint8_t code[FUNCTION_MAX_BYTES];
	size_t size = function->size < sizeof(code) ? (size_t)function->size : sizeof(code);
	long got = elf_object__read_code(search->obj, function->file_offset, code, size);
	int err;

	if (got < (long)sizeof(entry_code) || memcmp(code, entry_code, sizeof(entry_code)) != 0)
		return 0;
	err = add_after(search, function, code, (size_t)got, switch_code, sizeof(switch_code));
	return err ? err
		   : add_after(search, function, code, (size_t)got, stay_code, sizeof(stay_code));
}

/* Whether it is this function of the runtime, which symbol tables may call .abi0. */
static bool is_named(const struct elf_function *function, const char *name)
{
	size_t len = strlen(name);

	return !strncmp(function->name, name, len) &&
	       (!function->name[len] || !strcmp(function->name + len, ".abi0"));
}

/*
 * Where goroutines, threads and the program begin: assembler that keeps no frame pointer, and that
 * a thread's first code jumps to or calls with nothing of the program above (runtime/asm_amd64.s).
 */
static bool is_root(const struct elf_function *function)
{
	static const char *const roots[] = {"runtime.goexit", "runtime.mstart", "runtime.rt0_go"};

	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
		if (is_named(function, roots[i]))
			return true;
	}
	return false;
}

static int look_at_function(void *ctx, const struct elf_function *function)
{
	struct search *search = ctx;

	if (is_named(function, "runtime.asmcgocall"))
		search->err = add_switch(search, function);
	else if (is_root(function))
		search->err = insert_row(search->rows, function->vaddr, function->size,
					 (struct unwind_rule){.kind = UNWIND_ROOT});
	return search->err;
}

int go_text__add_rows(const struct elf_object *obj, struct frame_rows *rows)
{
	struct search search = {.obj = obj, .rows = rows};

	if (!elf_object__is_go(obj))
		return 0;
	/* A table of functions that is damaged or of another version: no row. */
	elf_object__each_go_function(obj, look_at_function, &search);
	return search.err == -ENOMEM ? -ENOMEM : 0;
}
