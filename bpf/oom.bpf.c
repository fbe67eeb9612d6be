// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Who was killed for memory: all of watch's BPF, in a skeleton of its own, so that nothing of
 * trace's is opened for months.
 */
#include "kernel_types.h"
#include "memdrift/oom.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, OOM_RING_BYTES);
} victims SEC(".maps");

__u64 victims_lost;

/*
 * include/trace/events/oom.h. Kernels before 6.9 have the pid alone (72ba14deb40a), which is a
 * thread's: that of the victim which still had the memory. Sizes are in kB.
 */
struct trace_event_raw_mark_victim {
	int pid;
	__u32 __data_loc_comm;
	unsigned long anon_rss, file_rss, shmem_rss;
} __attribute__((preserve_access_index));

/* Until 6.1: single counters (include/linux/mm_types_task.h). */
typedef struct {
	long long counter;
} atomic64_t;

struct mm_rss_stat___old {
	atomic64_t count[4];
} __attribute__((preserve_access_index));

struct mm_struct___old {
	struct mm_rss_stat___old rss_stat;
} __attribute__((preserve_access_index));

/*
 * From 6.2 (f1a7941243c1): the sum without what each CPU has not handed in yet, which is at most
 * a batch of 32 pages or twice the number of CPUs.
 */
struct percpu_counter___new {
	__s64 count;
} __attribute__((preserve_access_index));

struct mm_struct___new {
	struct percpu_counter___new rss_stat[4];
} __attribute__((preserve_access_index));

/* include/linux/mm_types_task.h */
enum { MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES };
#define PAGE_BYTES 4096

static __always_inline __s64 pages_of(struct mm_struct *mm, int kind)
{
	struct mm_struct___old *old = (void *)mm;
	struct mm_struct___new *new = (void *)mm;
	__s64 pages = -1;

	if (bpf_core_field_exists(old->rss_stat.count))
		bpf_core_read(&pages, sizeof(pages), &old->rss_stat.count[kind]);
	else if (bpf_core_field_exists(new->rss_stat[0].count))
		bpf_core_read(&pages, sizeof(pages), &new->rss_stat[kind].count);
	return pages < 0 ? -1 : pages * PAGE_BYTES;
}

/* The victim is often the one that asked for memory. */
static __always_inline void read_own(struct oom_record *record)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	struct mm_struct *mm = BPF_CORE_READ(task, mm);

	record->pid = pid_tgid >> 32;
	if (record->anon_bytes >= 0 || !mm)
		return;
	record->anon_bytes = pages_of(mm, MM_ANONPAGES);
	record->file_bytes = pages_of(mm, MM_FILEPAGES);
	record->shmem_bytes = pages_of(mm, MM_SHMEMPAGES);
	bpf_get_current_comm(record->comm, sizeof(record->comm));
}

SEC("tracepoint")
int mark_victim(struct trace_event_raw_mark_victim *event)
{
	struct oom_record *record = bpf_ringbuf_reserve(&victims, sizeof(*record), 0);
	__u32 comm_at;

	if (!record) {
		__sync_fetch_and_add(&victims_lost, 1);
		return 0;
	}
	*record = (struct oom_record){.time_ns = bpf_ktime_get_ns(),
				      .anon_bytes = -1,
				      .file_bytes = -1,
				      .shmem_bytes = -1};
	record->tid = (__u32)BPF_CORE_READ(event, pid);
	if (bpf_core_field_exists(event->anon_rss)) {
		record->anon_bytes = (__s64)(BPF_CORE_READ(event, anon_rss) << 10);
		record->file_bytes = (__s64)(BPF_CORE_READ(event, file_rss) << 10);
		record->shmem_bytes = (__s64)(BPF_CORE_READ(event, shmem_rss) << 10);
		comm_at = BPF_CORE_READ(event, __data_loc_comm) & 0xffff;
		bpf_probe_read_kernel_str(record->comm, sizeof(record->comm),
					  (const char *)event + comm_at);
	}
	if (record->tid == (__u32)bpf_get_current_pid_tgid())
		read_own(record);
	bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
	return 0;
}
