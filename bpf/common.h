/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BPF_COMMON_H
#define MEMDRIFT_BPF_COMMON_H

#include "memdrift/config.h"
#include "memdrift/loss.h"
#include "memdrift/record.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/*
 * Maps and helpers that all programs share. The objects are linked into one, so what stands in
 * this header is weak: each object has it, the linker keeps one.
 */
const volatile struct bpf_config config __weak;

/* The process that keeps memdrift's probes, which is started after the programs are loaded. */
__u32 keeper_pid __weak;

char LICENSE[] __weak SEC("license") = "Dual BSD/GPL";

/* Records; the loader sets the size (default 64 MiB: 0.6 s of the fastest storm of two CPUs). */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 << 20);
} records __weak SEC(".maps");

/* Followed processes. 16,384 at once is half the kernel's default pid_max. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct target);
} targets __weak SEC(".maps");

/*
 * Allocator calls by process; presence means that the process is counted, so that a hit takes
 * one look-up. The loader sets max_entries from the number of CPUs (see src/ingest/maps.c).
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct alloc_counts);
} alloc_counts __weak SEC(".maps");

/* Threads inside a mapping system call. 16,384 at once is beyond any host that makes progress. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct inflight);
} inflight __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LOSS_KERNEL_MAX);
	__type(key, __u32);
	__type(value, __u64);
} losses __weak SEC(".maps");

static __always_inline void count_loss(__u32 loss)
{
	__u64 *n = bpf_map_lookup_elem(&losses, &loss);

	/* Atomic: a program may be preempted by another one on the same CPU between load and store.
	 */
	if (n)
		__sync_fetch_and_add(n, 1);
}

/*
 * To be called by every program on uprobes. Kernels from 6.13 on give programs with 64 bytes of
 * stack and more one private stack for each CPU (e00931c02568), in the belief that none is entered
 * twice on a CPU. Programs on uprobes are: they can be preempted, and nothing keeps the next task
 * from the same program. Measured on 7.2: wrong counts, and an oops. A program with a tail call in
 * it is left on the stack of its task; this one is never taken. Programs of different kinds cannot
 * share the map.
 */
#define NO_PROGRAMS(name)                              \
	struct {                                       \
		__uint(type, BPF_MAP_TYPE_PROG_ARRAY); \
		__uint(max_entries, 1);                \
		__uint(key_size, sizeof(__u32));       \
		__uint(value_size, sizeof(__u32));     \
	} name SEC(".maps")

static __always_inline void stay_on_own_stack(void *ctx, void *no_programs)
{
	if (config.never)
		bpf_tail_call(ctx, no_programs, 0);
}

static __always_inline bool is_target(__u32 pid)
{
	if (pid == config.own_pid)
		return false;
	if (config.target_mode == TARGET_HOST)
		return pid != keeper_pid;
	return bpf_map_lookup_elem(&targets, &pid) != NULL;
}

/* In steps of /proc/PID/stat's clock, so that both give a process one identity. */
static __always_inline __u64 start_of(struct task_struct *task)
{
	__u64 start_ns = BPF_CORE_READ(task, group_leader, start_boottime);

	return start_ns - start_ns % BOOT_TICK_NS;
}

static __always_inline void fill_header(struct rec_header *hdr, __u32 type, __u32 flags)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();

	hdr->type = type;
	hdr->flags = flags;
	hdr->pid = pid_tgid >> 32;
	hdr->tid = (__u32)pid_tgid;
	hdr->time_ns = bpf_ktime_get_ns();
	hdr->start_ns = start_of((struct task_struct *)bpf_get_current_task());
}

static __always_inline void *reserve_record(__u64 size)
{
	void *record = bpf_ringbuf_reserve(&records, size, 0);

	if (!record)
		count_loss(LOSS_ring_full);
	return record;
}

/*
 * A wake-up costs more than a record (measured by its maintainers, Documentation/bpf/ringbuf.rst),
 * so the reader is woken only while the fill level passes the threshold, and polls by itself
 * otherwise. The band is wide enough that records of other CPUs cannot jump over it.
 */
static __always_inline void submit_record(void *record)
{
	__u64 waiting = bpf_ringbuf_query(&records, BPF_RB_AVAIL_DATA);
	__u64 over = waiting - config.wakeup_bytes;

	bpf_ringbuf_submit(record, over < 8192 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

static __always_inline void submit_record_now(void *record)
{
	bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
}

#endif
