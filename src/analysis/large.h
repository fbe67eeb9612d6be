/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_ANALYSIS_LARGE_H
#define MEMDRIFT_ANALYSIS_LARGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "golang/go_heap.h"
#include "model/process.h"
#include "stack/namer.h"

/* Large mappings that were not released, and what each one is. X(constant, JSON name). */
#define LARGE_KINDS(X)                  \
	X(GLIBC_ARENA, "glibc-arena")   \
	X(GO_ARENA, "go-arena")         \
	X(GO_RUNTIME, "go-runtime")     \
	X(FASTCACHE, "fastcache")       \
	X(THREAD_STACK, "thread-stack") \
	X(MALLOC_CHUNK, "malloc-chunk") \
	X(JEMALLOC, "jemalloc")         \
	X(TCMALLOC, "tcmalloc")         \
	X(MIMALLOC, "mimalloc")         \
	X(ANONYMOUS, "anonymous")       \
	X(FILE, "file")

#define LARGE_ENUM(name, text) LARGE_##name,
enum large_kind { LARGE_KINDS(LARGE_ENUM) LARGE_KIND_MAX };
#undef LARGE_ENUM

const char *large_kind__name(enum large_kind kind);

struct large_mapping {
	uint64_t address;
	uint64_t reserved_bytes;  /* still mapped */
	uint64_t committed_bytes; /* of these, readable and writable */
	int64_t resident_bytes;   /* -1: unknown */
	double resident_age_s;    /* of the figure above, at the end of the trace (or process) */
	double age_s;             /* since it was made; of an older one, since the trace began */
	bool before_attach;       /* older than the trace: age_s is then a lower bound */
	enum large_kind kind;
	uint32_t tid;  /* 0: unknown */
	int32_t stack; /* STACK_NONE: unknown */
};

/*
 * What only /proc and the process's memory can tell. Any function may be NULL, and may return a
 * negative errno: the answer is then unknown. For an ended process they answer from what was
 * read while it ran.
 */
struct large_facts {
	void *ctx;
	/* Resident bytes of [start, end), and how many seconds before now_s they were read. 0. */
	int (*resident)(void *ctx, const struct process *process, uint64_t start, uint64_t end,
			uint64_t *bytes, double *age_s);
	/* The n words at addr, without making a page resident. 0; -ENODATA is certain: there is
	 * nothing there. */
	int (*peek)(void *ctx, const struct process *process, uint64_t addr, uint64_t *words,
		    size_t n);
	/* An enum go_heap. */
	int (*go_heap)(void *ctx, const struct process *process);
};

struct large_options {
	const uint64_t *sizes; /* a mapping counts when its length is a multiple of one of them */
	size_t size_count;
	uint64_t now_ns; /* CLOCK_MONOTONIC at the end; a process that ended before: its end */
	uint64_t started_ns;
};

/* --large when it is not given. */
#define LARGE_SIZES_DEFAULT               \
	{                                 \
		64ULL << 20, 128ULL << 20 \
	}

/*
 * Mappings that were there before the trace can be merged into one line of /proc/PID/maps; they are
 * told apart at multiples of 64 MiB by what lies there. At most this many such addresses of one
 * process are looked at: 4 TiB of readable and writable memory.
 */
#define LARGE_SPLITS_MAX 65536

/*
 * The large mappings of a process that are still mapped, by address, in memory that the caller
 * frees. 0 (with *count 0 and *mappings NULL when there are none) or -ENOMEM.
 */
int large__choose(const struct process *process, const struct large_options *options,
		  const struct large_facts *facts, const struct stack_namer *namer,
		  struct large_mapping **mappings, size_t *count);

#endif
