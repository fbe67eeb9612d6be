/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Mappings of the sizes that allocators reserve, made, cut, committed and released in the ways
 * that allocators do it. Says of each what is left: address, reserved, committed and resident
 * bytes. All by raw system calls after "ready" (--early: --count of direct ones before it too).
 *
 *   --wait: "ready PID", line, work, "done PID", line, end.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/prctl.h>
#include "truth.h"

#define USAGE "usage: large_maps [--count N] [--seed N] [--early] [--wait]\n"

#define MAX_MAPS 256
#define PAGE     4096UL
#define MIB      (1UL << 20)
#define HEAP     (64 * MIB)
/* What glibc makes writable of a new heap at first (malloc/arena.c: HEAP_MIN_SIZE and top_pad) */
#define HEAP_START (132 * 1024UL)

struct map {
	const char *how;
	uintptr_t address;
	size_t reserved;  /* still mapped */
	size_t committed; /* of that, made writable */
	size_t touched_pages;
	bool large;    /* created as, or trimmed to, a multiple of 64 MiB, and not released */
	bool released; /* nothing of it is left */
	bool partly;   /* some of it was unmapped, to a size that is no multiple */
	bool early;
};

static struct map maps[MAX_MAPS];
static size_t map_count;
static uint64_t seed;
static bool early;

static uintptr_t must_map(uintptr_t at, size_t bytes, int prot, int flags, int fd)
{
	void *p = mmap((void *)at, bytes, prot, flags, fd, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return (uintptr_t)p;
}

static uintptr_t map_anon(uintptr_t at, size_t bytes, int prot, int flags)
{
	return must_map(at, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1);
}

static void unmap(uintptr_t at, size_t bytes)
{
	if (bytes && munmap((void *)at, bytes))
		die("munmap");
}

static void commit(struct map *m, size_t offset, size_t bytes)
{
	if (mprotect((void *)(m->address + offset), bytes, PROT_READ | PROT_WRITE))
		die("mprotect");
	m->committed += bytes;
}

/* Writes to each page of a part once, so that the count of resident pages is known. */
static void touch(struct map *m, size_t offset, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		*(volatile char *)(m->address + offset + i * PAGE) = 1;
	m->touched_pages += pages;
}

static size_t some_pages(size_t limit)
{
	return 1 + random__below(&seed, limit / PAGE);
}

static struct map *new_map(const char *how, uintptr_t address, size_t reserved, size_t committed)
{
	struct map *m = &maps[map_count++];

	if (map_count > MAX_MAPS)
		die("too many maps");
	*m = (struct map){.how = how, .address = address, .reserved = reserved, .early = early};
	m->committed = committed;
	m->large = reserved % HEAP == 0;
	return m;
}

/* As fastcache does: one call, writable, never unmapped. */
static struct map *make_direct(size_t bytes)
{
	uintptr_t at = map_anon(0, bytes, PROT_READ | PROT_WRITE, 0);
	struct map *m = new_map("direct", at, bytes, bytes);

	touch(m, 0, some_pages(4 * MIB));
	return m;
}

/* As glibc does for a heap (malloc/arena.c, alloc_new_heap): 128 MiB, cut to an aligned 64. */
static void make_trimmed(void)
{
	uintptr_t at = map_anon(0, 2 * HEAP, PROT_NONE, MAP_NORESERVE);
	uintptr_t heap = (at + HEAP - 1) & -HEAP;
	struct map *m;

	unmap(at, heap - at);
	unmap(heap + HEAP, at + HEAP - heap);
	m = new_map("trimmed", heap, HEAP, 0);
	commit(m, 0, HEAP_START);
	commit(m, HEAP_START, some_pages(8 * MIB) * PAGE);
	touch(m, 0, some_pages(m->committed));
}

/* As Go does: reserved at a hint, then made writable by MAP_FIXED in whole. */
static void make_overlaid(uintptr_t hint, bool whole)
{
	uintptr_t at = map_anon(hint, HEAP, PROT_NONE, 0);
	struct map *m = new_map(whole ? "overlaid" : "overlaid-in-part", at, HEAP, 0);
	size_t bytes = whole ? HEAP : 4 * MIB;

	map_anon(at, bytes, PROT_READ | PROT_WRITE, MAP_FIXED);
	m->committed = bytes;
	touch(m, 0, some_pages(4 * MIB));
	if (whole)
		return;
	map_anon(at + 8 * MIB, bytes, PROT_READ | PROT_WRITE, MAP_FIXED);
	m->committed += bytes;
	touch(m, 8 * MIB, some_pages(bytes));
}

/* Islands of writable pages; one is given back, and one is protected again. */
static void make_islands(void)
{
	uintptr_t at = map_anon(0, 2 * HEAP, PROT_NONE, MAP_NORESERVE);
	struct map *m = new_map("islands", at, 2 * HEAP, 0);

	for (size_t i = 0; i < 4; i++)
		commit(m, i * 16 * MIB, 1 * MIB);
	touch(m, 0, 100);
	touch(m, 16 * MIB, 50);
	if (madvise((void *)(at + 16 * MIB), 1 * MIB, MADV_DONTNEED))
		die("madvise");
	m->touched_pages -= 50;
	if (mprotect((void *)(at + 48 * MIB), 1 * MIB, PROT_NONE))
		die("mprotect");
	m->committed -= 1 * MIB;
}

static void make_released(size_t bytes)
{
	struct map *m = make_direct(bytes);

	m->how = "released";
	unmap(m->address, bytes);
	m->reserved = m->committed = m->touched_pages = 0;
	m->released = true;
	m->large = false;
}

/* In two steps: after the first, half is left. */
static void make_released_by_halves(void)
{
	struct map *m = make_direct(2 * HEAP);

	m->how = "released-by-halves";
	unmap(m->address + HEAP, HEAP);
	unmap(m->address, HEAP);
	m->reserved = m->committed = m->touched_pages = 0;
	m->released = true;
	m->large = false;
}

static void make_halved(void)
{
	struct map *m = make_direct(2 * HEAP);

	m->how = "halved";
	unmap(m->address + HEAP, HEAP);
	m->reserved = m->committed = HEAP;
}

static void make_holed(void)
{
	uintptr_t at = map_anon(0, HEAP, PROT_READ | PROT_WRITE, 0);
	struct map *m = new_map("holed", at, HEAP - MIB, HEAP - MIB);

	touch(m, 0, 10);
	unmap(at + 32 * MIB, MIB);
	m->partly = true;
	m->large = true;
}

static void make_file(void)
{
	int fd = (int)syscall(SYS_memfd_create, "large_maps", MFD_CLOEXEC);
	struct map *m;

	if (fd < 0 || ftruncate(fd, HEAP))
		die("memfd");
	m = new_map("file", must_map(0, HEAP, PROT_READ | PROT_WRITE, MAP_SHARED, fd), HEAP, HEAP);
	touch(m, 0, 20);
}

static void make_all(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		make_direct(HEAP);
	make_direct(2 * HEAP);
	make_direct(3 * HEAP);
	make_direct(HEAP + MIB);
	for (uint64_t i = 0; i < count; i++)
		make_trimmed();
	make_overlaid(0xd000000000, true);
	make_overlaid(0xd000000000 + HEAP, true);
	make_overlaid(0xe000000000, false);
	make_islands();
	make_released(HEAP);
	make_released(2 * HEAP);
	make_released_by_halves();
	make_halved();
	make_holed();
	make_file();
}

static void write_truth(void)
{
	static struct truth t;

	truth__open(&t, NULL, "{");
	truth__string(&t, "program", "large_maps");
	truth__number(&t, "pid", (uint64_t)getpid());
	truth__open(&t, "maps", "[");
	for (size_t i = 0; i < map_count; i++) {
		const struct map *m = &maps[i];

		truth__open(&t, NULL, "{");
		truth__string(&t, "how", m->how);
		truth__address(&t, "address", m->address);
		truth__number(&t, "reserved_bytes", m->reserved);
		truth__number(&t, "committed_bytes", m->committed);
		truth__number(&t, "resident_bytes", m->touched_pages * PAGE);
		truth__bool(&t, "large", m->large);
		truth__bool(&t, "released", m->released);
		truth__bool(&t, "partly_unmapped", m->partly);
		truth__bool(&t, "before_ready", m->early);
		truth__close(&t, "}");
	}
	truth__close(&t, "]");
	truth__close(&t, "}");
	truth__write(&t);
}

int main(int argc, char **argv)
{
	uint64_t count = 4;
	bool wait = false, with_early = false;
	const struct target_option options[] = {
		{"count", .number = &count},
		{"seed", .number = &seed},
		{"early", .flag = &with_early},
		{"wait", .flag = &wait},
		{.name = NULL},
	};

	(void)argc;
	if (!parse_options(argv, options) || count > 64)
		usage(USAGE);
	/* One page touched is one page resident, also where huge pages are always given. */
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		die("PR_SET_THP_DISABLE");
	early = with_early;
	for (uint64_t i = 0; with_early && i < count; i++)
		make_direct(HEAP);
	early = false;
	stop_at("ready", wait);
	make_all(count);
	write_truth();
	stop_at("done", wait);
	_exit(0);
}
