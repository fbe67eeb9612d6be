/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_INGEST_TRACER_H
#define MEMDRIFT_INGEST_TRACER_H

#include <stdbool.h>
#include <stdint.h>

#include "memdrift/config.h"
#include "memdrift/loss.h"
#include "memdrift/record.h"
#include "model/space.h"

struct bpf_program;
struct kept_stack;
struct keeper;
struct live_set;
struct memdrift;
struct unwinder;

/*
 * The kernel's side of a trace: the loaded BPF programs and their maps. Everything in it goes
 * with the process, however it ends: nothing is pinned.
 */
struct tracer_options {
	struct bpf_config config;
	uint64_t ring_bytes;  /* a power of two and a multiple of the page size */
	uint32_t counted_max; /* processes whose allocator calls are counted at once */
	bool arenas;          /* arena_get2 and USDT programs are wanted */
	uint64_t live_bytes;  /* memory of the live set; 0: none is kept */
	bool live_stacks;
	bool live_temporary;
	bool stacks;                  /* call stacks are taken */
	unsigned int stack_hash_bits; /* of 64, for tests; 0: all */
	uint32_t fault_period;        /* of the page faults every how manieth is sampled; 0: none */
	const struct class_table *classes; /* with COUNT_BY_CLASS */
};

/* How allocator calls are probed: counted at their entry, or followed to their return. */
enum tracer_calls {
	CALLS_ENTRY,   /* allocator_enter */
	CALLS_SESSION, /* live_session: one link for both */
	CALLS_PAIR,    /* live_enter and live_return */
};

/* 0.6 s of records at the rate of a map and unmap storm from two CPUs; see README, what it costs.
 */
#define TRACER_RING_BYTES (64ull << 20)

/* Some ms of our own faults for each CPU. */
#define FAULT_PERIOD_MAX 10000

/* What the allocator counters of all processes may take together. */
#define TRACER_COUNTERS_BYTES (256ull << 20)

/* As many processes as TRACER_COUNTERS_BYTES has room for on this host, 256 to 4,096. */
uint32_t tracer__counted_max(bool by_class);

struct tracer;

/* Loads the programs and starts the keeper; nothing is attached. Before there are threads. 0 or a
 * negative errno, after a message. */
int tracer__open(const struct tracer_options *options, struct tracer **out);
/* Detaches and unloads everything. NULL is fine. */
void tracer__close(struct tracer *tracer);

/* Possible CPUs: what per-CPU figures come from. */
uint32_t tracer__cpus(void);
struct memdrift *tracer__programs(struct tracer *tracer);
/* What attaches its programs to allocators; it ends with the tracer. */
struct keeper *tracer__keeper(struct tracer *tracer);
enum tracer_calls tracer__calls(const struct tracer *tracer);
/* NULL: none is kept. */
struct live_set *tracer__live_set(struct tracer *tracer);
/* NULL: no stacks are taken. */
struct unwinder *tracer__unwinder(struct tracer *tracer);

/*
 * Attaches process lifecycle and mapping probes. From here on records of targets are made.
 * 0 or a negative errno, after a message.
 */
int tracer__attach(struct tracer *tracer);

/* Follows a process from now on; children follow by themselves. 0 or a negative errno. */
int tracer__follow(struct tracer *tracer, uint32_t pid, uint64_t start_ns);
/* Gives it allocator counters, all zero; children get theirs by themselves. 0 or a negative errno.
 */
int tracer__count(struct tracer *tracer, uint32_t pid);
void tracer__uncount(struct tracer *tracer, uint32_t pid);

/*
 * The entry point with this number makes a call to another one that returns `distance` bytes behind
 * its probe. 0, -ERANGE when that is too far to be told, or what the kernel said.
 */
int tracer__add_nested_call(struct tracer *tracer, uint16_t number, int64_t distance);

typedef void (*tracer_record_fn)(void *ctx, const struct rec_header *record, size_t size);

/*
 * Hands over what is in the ring, in order. Waits up to timeout_ms for the first record (0: not).
 * Returns the number of records, at most `max` and a few more, so that a storm cannot keep the
 * caller here for ever; -EINTR after a signal, -EOWNERDEAD when the keeper was killed and the
 * probes are gone with it, or another negative errno.
 */
int tracer__poll(struct tracer *tracer, int timeout_ms, int max, tracer_record_fn fn, void *ctx);
/* A descriptor that turns readable when records wait above the wake-up level. */
int tracer__poll_fd(struct tracer *tracer);

/* Sums over CPUs of one process. 0, or -ENOENT when it is not counted. */
int tracer__read_counts(struct tracer *tracer, uint32_t pid, struct alloc_counts *sums);
/* The same by size class; -ENOENT also when nothing is counted by class. */
int tracer__read_classes(struct tracer *tracer, uint32_t pid, struct class_counts *sums);
uint64_t tracer__bystander_hits(struct tracer *tracer);
/* Adds the kernel's losses, as they stand now, to losses[] (of LOSS_MAX). */
void tracer__read_losses(struct tracer *tracer, uint64_t *losses);
/* Ranges that system calls under way may still remove from the process; returns how many. */
int tracer__read_inflight(struct tracer *tracer, uint32_t pid, struct address_range *ranges,
			  size_t max);
/* 0, or a negative errno when there is no such stack. */
int tracer__read_stack(const struct tracer *tracer, int32_t id, struct kept_stack *stack);
/* Each weight of allocator stacks. */
/* pid 0: those of all processes. */
typedef void (*tracer_weight_fn)(void *ctx, const struct stack_key *key,
				 const struct size_count *sums);
void tracer__each_weight(struct tracer *tracer, uint32_t pid, tracer_weight_fn fn, void *ctx);
/* The same of allocations that were freed before their thread's next one. */
void tracer__each_temporary(struct tracer *tracer, uint32_t pid, tracer_weight_fn fn, void *ctx);

/*
 * Each kind of page fault sampled so far, of all processes (pid 0) or of one. A count that is read
 * while its process runs goes on; one that has ended may be forgotten, for which the walk through
 * them must be over.
 */
typedef void (*tracer_fault_fn)(void *ctx, const struct fault_key *key, uint64_t count);
void tracer__each_fault(struct tracer *tracer, uint32_t pid, uint64_t start_ns, tracer_fault_fn fn,
			void *ctx);
void tracer__forget_fault(struct tracer *tracer, const struct fault_key *key);

/* True when the pid belongs by now to a followed process with another start. */
bool tracer__was_reused(struct tracer *tracer, uint32_t pid, uint64_t start_ns);
/* Each followed process that has not ended. */
void tracer__each_target(struct tracer *tracer, void (*fn)(void *ctx, uint32_t pid), void *ctx);

#endif
