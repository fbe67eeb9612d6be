// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "golang/go_crossref.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <capstone/capstone.h>

/* The functions have up to 4 kB of code, and some 200 different operands in all. */
#define CODE_MAX_BYTES (32u << 10)
#define OPERANDS_MAX   2048
#define OFFSETS_MAX    24

/* Which functions are looked at for what. */
enum group { GROUP_BOOKS, GROUP_CHUNKS, GROUP_BUCKHASH, GROUP_GC_BITS, GROUPS };

static const struct {
	const char *name;
	enum group group;
} functions[] = {
	{"runtime.gcMarkTermination", GROUP_BOOKS},
	{"runtime.(*mheap).allocSpan", GROUP_BOOKS},
	{"runtime.gcPaceScavenger", GROUP_BOOKS},
	{"runtime.gcControllerCommit", GROUP_BOOKS},
	{"runtime.(*mheap).grow", GROUP_BOOKS},
	{"runtime.(*mheap).init", GROUP_BOOKS},
	{"runtime.gcSweep", GROUP_BOOKS},
	{"runtime.gcStart", GROUP_BOOKS},
	{"runtime.mallocinit", GROUP_BOOKS},
	{"runtime.gcPaceSweeper", GROUP_BOOKS},
	{"runtime.markrootSpans", GROUP_BOOKS},
	{"runtime.persistentalloc1", GROUP_CHUNKS},
	{"runtime.stkbucket", GROUP_BUCKHASH},
	{"runtime.nextMarkBitArenaEpoch", GROUP_GC_BITS},
	{"runtime.newMarkBits", GROUP_GC_BITS},
	{"runtime.newArenaMayUnlock", GROUP_GC_BITS},
};

/*
 * Offsets into a variable that the functions of a group refer to, in all builds of these minor
 * versions alike, position-independent ones included. Measured with symbols in the same builds as
 * go_layout.c's.
 */
struct pattern {
	enum go_variable variable;
	enum group group;
	unsigned int first, last;
	unsigned int count;
	uint32_t offsets[OFFSETS_MAX];
};

static const struct pattern patterns[] = {
	{GO_CONTROLLER,
	 GROUP_BOOKS,
	 19,
	 19,
	 14,
	 {0, 8, 128, 136, 168, 176, 224, 232, 240, 248, 304, 312, 320, 344}},
	{GO_CONTROLLER,
	 GROUP_BOOKS,
	 21,
	 27,
	 14,
	 {0, 8, 96, 104, 128, 144, 192, 200, 208, 216, 272, 280, 288, 312}},
	{GO_MEMSTATS,
	 GROUP_BOOKS,
	 19,
	 24,
	 14,
	 {0, 3552, 3560, 3576, 3584, 3592, 3600, 3608, 5656, 7704, 7708, 7712, 7720, 7728}},
	{GO_MEMSTATS,
	 GROUP_BOOKS,
	 25,
	 27,
	 14,
	 {0, 3528, 3536, 3552, 3560, 3568, 3576, 3584, 5632, 7680, 7684, 7688, 7696, 7704}},
	{GO_MHEAP, GROUP_BOOKS, 19, 19, 20, {0,     65808, 65848, 65880, 65888, 65896, 65904,
					     65912, 65920, 65928, 65936, 65976, 66016, 66024,
					     66032, 66040, 66048, 66056, 66064, 66072}},
	{GO_MHEAP, GROUP_BOOKS, 21, 21, 21, {0,     65728, 65816, 65856, 65888, 65896, 65904,
					     65912, 65920, 65928, 65936, 65944, 65992, 66032,
					     66040, 66048, 66056, 66064, 66072, 66080, 66088}},
	{GO_MHEAP, GROUP_BOOKS, 22, 24, 21, {0,     65728, 65816, 65856, 65888, 65896, 65904,
					     65912, 65920, 65928, 65936, 66008, 66056, 66096,
					     66104, 66112, 66120, 66128, 66136, 66144, 66152}},
	{GO_MHEAP, GROUP_BOOKS, 25, 27, 21, {0,     65728, 65816, 65856, 65888, 65896, 65904,
					     65912, 65920, 65928, 65936, 66008, 66056, 66096,
					     66104, 66112, 66144, 66152, 66160, 66168, 66176}},
	{GO_GC_BITS, GROUP_GC_BITS, 19, 27, 5, {0, 8, 16, 24, 32}},
};

/* Addresses that the functions of a group refer to, sorted and different in the end. */
struct operands {
	size_t n;
	uint64_t at[OPERANDS_MAX];
};

struct search {
	const struct elf_object *obj;
	csh handle;
	cs_insn *insn;
	struct operands groups[GROUPS];
	uint64_t votes[OPERANDS_MAX * OFFSETS_MAX];
	uint8_t code[CODE_MAX_BYTES];
};

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

/* All that the instruction at hand refers to relative to itself. */
static void take_operands(const struct search *search, struct operands *operands)
{
	const cs_insn *insn = search->insn;
	const cs_x86 *x86 = &insn->detail->x86;

	for (int i = 0; i < x86->op_count; i++) {
		uint64_t at = insn->address + insn->size + (uint64_t)x86->operands[i].mem.disp;

		if (x86->operands[i].type == X86_OP_MEM &&
		    x86->operands[i].mem.base == X86_REG_RIP && operands->n < OPERANDS_MAX &&
		    elf_object__is_data(search->obj, at, 1))
			operands->at[operands->n++] = at;
	}
}

static int look_at(void *ctx, const struct elf_function *function)
{
	struct search *search = ctx;
	const uint8_t *code = search->code;
	uint64_t address = function->vaddr;
	size_t size, i = 0;
	long got;

	while (i < sizeof(functions) / sizeof(functions[0]) &&
	       strcmp(functions[i].name, function->name))
		i++;
	if (i == sizeof(functions) / sizeof(functions[0]) || function->size > CODE_MAX_BYTES)
		return 0;
	got = elf_object__read_code(search->obj, function->file_offset, search->code,
				    function->size);
	if (got <= 0)
		return 0;
	size = (size_t)got;
	while (cs_disasm_iter(search->handle, &code, &size, &address, search->insn))
		take_operands(search, &search->groups[functions[i].group]);
	return 0;
}

static void sort_operands(struct operands *operands)
{
	size_t n = 0;

	qsort(operands->at, operands->n, sizeof(operands->at[0]), compare);
	for (size_t i = 0; i < operands->n; i++) {
		if (!n || operands->at[i] != operands->at[n - 1])
			operands->at[n++] = operands->at[i];
	}
	operands->n = n;
}

static int read_operands(struct search *search)
{
	int err;

	if (cs_open(CS_ARCH_X86, CS_MODE_64, &search->handle) != CS_ERR_OK)
		return -ENOMEM;
	cs_option(search->handle, CS_OPT_DETAIL, CS_OPT_ON);
	search->insn = cs_malloc(search->handle);
	err = search->insn ? elf_object__each_go_function(search->obj, look_at, search) : -ENOMEM;
	if (search->insn)
		cs_free(search->insn, 1);
	cs_close(&search->handle);
	for (int i = 0; !err && i < GROUPS; i++)
		sort_operands(&search->groups[i]);
	return err;
}

/*
 * Each operand stands for as many bases as the pattern has offsets. The true one is hit by nearly
 * all of them (four of five: the linker may have left functions out), any other by clearly fewer.
 */
static uint64_t vote(struct search *search, const struct pattern *pattern)
{
	const struct operands *operands = &search->groups[pattern->group];
	size_t n = 0, best = 0, second = 0;
	uint64_t base = 0;

	for (size_t i = 0; i < operands->n; i++) {
		for (size_t j = 0; j < pattern->count; j++)
			search->votes[n++] = operands->at[i] - pattern->offsets[j];
	}
	qsort(search->votes, n, sizeof(search->votes[0]), compare);
	for (size_t i = 0, run; i < n; i += run) {
		for (run = 1; i + run < n && search->votes[i + run] == search->votes[i]; run++)
			;
		if (run > best) {
			second = best;
			best = run;
			base = search->votes[i];
		} else if (run > second) {
			second = run;
		}
	}
	if (best * 5 < pattern->count * 4u || best == second ||
	    !elf_object__is_data(search->obj, base, pattern->offsets[pattern->count - 1] + 8))
		return 0;
	return base;
}

/* A pointer to whole pages, with `bytes` of anonymous memory behind it. */
static bool is_block(const struct subject *subject, uint64_t at, uint64_t bytes)
{
	const struct maps_entry *entry = subject__entry(subject, at);

	return at && at % SPACE_PAGE_BYTES == 0 && entry && entry_is_anonymous_rw(entry) &&
	       bytes <= entry->end - at;
}

/* How many blocks a list has whose first word leads on; longer ones count as this long. */
static unsigned int chain_length(struct subject *subject, uint64_t at, uint64_t bytes)
{
	unsigned int length = 0;

	while (length < 1000 && is_block(subject, at, bytes)) {
		length++;
		if (memory__word(&subject->memory, at, &at))
			return 0;
	}
	return at && length < 1000 ? 0 : length;
}

/*
 * The variable among a group's operands that points to a block of this size, a list of them when
 * `chained`: of several the one with the longest list, since what an allocator works in is the
 * first of its list.
 */
static uint64_t find_pointer(const struct search *search, enum group group, struct subject *subject,
			     const struct go_program *program, uint64_t bytes, bool chained)
{
	const struct operands *operands = &search->groups[group];
	unsigned int longest = 0;
	uint64_t found = 0;

	for (size_t i = 0; i < operands->n; i++) {
		unsigned int length = 0;
		uint64_t at;

		if (memory__word(&subject->memory, operands->at[i] + program->slide, &at))
			continue;
		if (is_block(subject, at, bytes))
			length = chained ? chain_length(subject, at, bytes) : 1;
		if (length > longest) {
			longest = length;
			found = operands->at[i];
		}
	}
	return found;
}

int go_crossref__find(const struct elf_object *obj, struct subject *subject,
		      struct go_program *program)
{
	unsigned int minor = go_version__minor(program->version);
	struct search *search = calloc(1, sizeof(*search));
	int err;

	if (!search)
		return -ENOMEM;
	search->obj = obj;
	err = read_operands(search);
	for (size_t i = 0; !err && i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		const struct pattern *pattern = &patterns[i];

		if (minor >= pattern->first && minor <= pattern->last)
			program->at[pattern->variable] = vote(search, pattern);
	}
	if (!err) {
		program->at[GO_PERSISTENT_CHUNKS] =
			find_pointer(search, GROUP_CHUNKS, subject, program, 256 << 10, true);
		program->at[GO_BUCKHASH] =
			find_pointer(search, GROUP_BUCKHASH, subject, program, 179999 * 8, false);
	}
	free(search);
	return err == -ENOMEM ? err : err ? -ENOENT : 0;
}
