// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "analysis/large_kind.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "memdrift/record.h"

/* Frames from the leaf within which an allocator calls mmap; above them are its users. */
#define ALLOCATOR_FRAMES 12
#define FRAMES_MAX       64

static int peek(const struct kind_evidence *evidence, uint64_t address, uint64_t *words, size_t n)
{
	if (!evidence->facts || !evidence->facts->peek)
		return -1;
	return evidence->facts->peek(evidence->facts->ctx, evidence->process, address, words, n);
}

/*
 * glibc malloc/arena.c, struct heap_info: ar_ptr, prev, size, mprotect_size. The arena's own state
 * follows heap_info in its first heap: 0x30 bytes from 2.35 on, 0x20 before.
 */
int kind__is_glibc_heap(const struct kind_evidence *evidence, uint64_t address)
{
	uint64_t words[4], within;
	int err = peek(evidence, address, words, 4);

	/* glibc writes a heap's header before anything else: a page that was never touched is none
	 * (Go's page summaries look alike otherwise). */
	if (err == -ENODATA)
		return 0;
	if (err)
		return -1;
	within = words[0] % HEAP_BYTES;
	if (within != 0x30 && within != 0x20)
		return 0;
	if (words[1] ? words[1] % HEAP_BYTES != 0 : words[0] - within != address)
		return 0;
	return words[2] && words[2] <= words[3] && words[3] <= HEAP_BYTES && words[2] % 4096 == 0 &&
	       words[3] % 4096 == 0;
}

/* Go asks for each arena of its heap by address: one that the kernel chose is told apart only where
 * the kernel by itself puts nothing. */
static bool is_go_arena(const struct kind_evidence *evidence, const struct origin *origin,
			uint64_t address)
{
	if (evidence->go_heap <= 0 || address % HEAP_BYTES)
		return false;
	if (origin->hinted)
		return go_heap__may_ask_for(evidence->go_heap, address);
	return origin->before_trace && go_heap__may_hold(evidence->go_heap, address);
}

/*
 * mimalloc 2 asks for aligned hints between 2 and 30 TiB (os.c,
 * mi_os_get_aligned_hint), where the kernel by itself puts nothing.
 */
static bool in_mimalloc_range(const struct origin *origin, uint64_t address)
{
	return (origin->hinted || origin->before_trace) && address >= 2ULL << 40 &&
	       address < 30ULL << 40;
}

static bool starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

static enum large_kind kind_of_frame(const struct frame_name *frame)
{
	const char *text = frame->text, *object = frame->object;

	if (strstr(object, "jemalloc") || starts_with(text, "je_") ||
	    starts_with(text, "_rjem_je_"))
		return LARGE_JEMALLOC;
	if (strstr(object, "tcmalloc") || strstr(text, "tcmalloc") || strstr(text, "TCMalloc"))
		return LARGE_TCMALLOC;
	/* "mi_" alone would also be MyISAM's functions. */
	if (strstr(object, "mimalloc") || starts_with(text, "_mi_"))
		return LARGE_MIMALLOC;
	return LARGE_ANONYMOUS;
}

static enum large_kind kind_of_stack(const struct kind_evidence *evidence,
				     const struct origin *origin)
{
	const struct process *process = evidence->process;
	struct frame_name frames[FRAMES_MAX];
	size_t n = stack_namer__name(evidence->namer, process->pid, process->start_ns,
				     origin->stack, frames, FRAMES_MAX);
	bool by_go_runtime = false;

	for (size_t i = 0; i < n; i++) {
		enum large_kind kind = LARGE_ANONYMOUS;

		if (strstr(frames[i].text, "fastcache."))
			return LARGE_FASTCACHE;
		if (i < ALLOCATOR_FRAMES)
			kind = kind_of_frame(&frames[i]);
		if (kind != LARGE_ANONYMOUS)
			return kind;
		by_go_runtime |= starts_with(frames[i].text, "runtime.sysReserve") ||
				 starts_with(frames[i].text, "runtime.sysAlloc");
	}
	return by_go_runtime ? LARGE_GO_RUNTIME : LARGE_ANONYMOUS;
}

/*
 * Go's page allocator reserves a tree of summaries when it starts (runtime/mpagealloc_64bit.go):
 * its two lowest levels are 64 and 512 MiB without access, of which hardly a page is ever used.
 */
static bool is_go_summary(const struct kind_evidence *evidence, const struct origin *origin)
{
	return evidence->go_heap > 0 && !origin->before_trace && !origin->hinted &&
	       origin->first_prot == PROT_NONE &&
	       (origin->created_bytes == HEAP_BYTES || origin->created_bytes == 8 * HEAP_BYTES) &&
	       origin->live_bytes == origin->created_bytes &&
	       origin->committed_bytes <= origin->created_bytes / 64;
}

/*
 * A chunk that glibc mapped by itself starts with {0, length | IS_MMAPPED}; from 2.43 on with
 * {offset | hugepage bit, length less 16 | IS_MMAPPED}.
 */
static bool is_malloc_chunk(const struct kind_evidence *evidence, uint64_t address, uint64_t bytes)
{
	uint64_t words[2];

	if (peek(evidence, address, words, 2) || (words[1] & 7) != 2)
		return false;
	return (words[0] == 0 && (words[1] & ~7ULL) == bytes) ||
	       (words[0] < 4096 && (words[1] & ~7ULL) == bytes - 16);
}

enum large_kind kind__of(const struct kind_evidence *evidence, const struct origin *origin,
			 uint64_t address, uint64_t bytes)
{
	enum large_kind kind;

	if (!(origin->map_flags & MAP_ANONYMOUS))
		return LARGE_FILE;
	if (origin->map_flags & MAP_STACK)
		return LARGE_THREAD_STACK;
	if (origin->arena_signature ||
	    (address % HEAP_BYTES == 0 && kind__is_glibc_heap(evidence, address) == 1))
		return LARGE_GLIBC_ARENA;
	if (is_go_arena(evidence, origin, address))
		return LARGE_GO_ARENA;
	kind = kind_of_stack(evidence, origin);
	if (kind != LARGE_ANONYMOUS)
		return kind;
	if (is_go_summary(evidence, origin))
		return LARGE_GO_RUNTIME;
	if (is_malloc_chunk(evidence, address, bytes))
		return LARGE_MALLOC_CHUNK;
	if (in_mimalloc_range(origin, address))
		return LARGE_MIMALLOC;
	return LARGE_ANONYMOUS;
}
