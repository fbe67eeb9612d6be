// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "golang/go_heap.h"

#include "golang/go_layout.h"

/* Hints are tried from i = 0 to 0x7f. Position-independent programs start at 0x55…, libraries and
 * mmap end below 0x7fff…: up to half of the address space only a hint leads. */
#define HINTS          0x80
#define HINTS_APART    0x40
#define FIRST_HINT     (0xc0ULL << 32)
#define RANDOM_END     (1ULL << 46)
#define FIXED_PROGRAMS (1ULL << 32)

static bool follows_hint(uint64_t addr, uint64_t hints)
{
	/* The first range goes on until the second hint is reached. */
	if (addr < 1ULL << 41)
		return addr >= FIRST_HINT;
	return addr >> 40 < hints && (addr & ((1ULL << 40) - 1)) >= FIRST_HINT;
}

static bool may_hold(enum go_heap rule, uint64_t addr, uint64_t hints)
{
	bool random = addr >= FIXED_PROGRAMS && addr < RANDOM_END;

	switch (rule) {
	case GO_HEAP_HINTED:
		return follows_hint(addr, hints);
	case GO_HEAP_RANDOM:
		return random;
	case GO_HEAP_EITHER:
		return random || follows_hint(addr, hints);
	default:
		return false;
	}
}

bool go_heap__may_hold(enum go_heap rule, uint64_t addr)
{
	return may_hold(rule, addr, HINTS_APART);
}

bool go_heap__may_ask_for(enum go_heap rule, uint64_t addr)
{
	return may_hold(rule, addr, HINTS);
}

enum go_heap go_heap__of_version(const char *version)
{
	unsigned int minor = go_version__minor(version);

	return !minor ? GO_HEAP_EITHER : minor < 26 ? GO_HEAP_HINTED : GO_HEAP_RANDOM;
}
