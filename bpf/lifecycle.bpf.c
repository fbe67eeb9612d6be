// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Birth, new programs and death of processes and threads. */
#include "common.h"
#include "live.h"
#include "size_class.h"
#include "tail.h"
#include "unwind_code.h"

/* One value for new entries of alloc_counts: too large for the stack of a program. */
static const struct alloc_counts no_counts;
static const struct class_counts no_classes;

/* As alloc_counts and after it: a process that has no calls counted has no classes either. */
static __always_inline void begin_classes(__u32 pid)
{
	bpf_map_delete_elem(&class_counts, &pid);
	if (bpf_map_update_elem(&class_counts, &pid, &no_classes, BPF_NOEXIST))
		count_loss(LOSS_counters_full);
}

struct space_step {
	__u32 pid;
	__u64 space;
};

static long set_space_on(__u32 cpu, struct space_step *step)
{
	struct alloc_counts *counts = bpf_map_lookup_percpu_elem(&alloc_counts, &step->pid, cpu);

	if (!counts)
		return 1;
	counts->space = step->space;
	return 0;
}

/* The process's allocations belong to this space from now on. */
static __always_inline void set_space(__u32 pid, __u32 space)
{
	struct space_step step = {.pid = pid, .space = space};

	bpf_loop(config.cpus, set_space_on, &step, 0);
}

/* With one user. 0: none is left. */
static __always_inline __u32 new_space(void)
{
	struct live_space *space;
	__u32 id = 0;

	if (bpf_map_pop_elem(&live_free_ids, &id)) {
		count_loss(LOSS_live_spaces_full);
		return 0;
	}
	space = bpf_map_lookup_elem(&live_spaces, &id);
	if (!space)
		return 0;
	space->users = 1;
	space->taken = 1;
	return id;
}

static __always_inline void use_space(__u32 id, int users)
{
	struct live_space *space = bpf_map_lookup_elem(&live_spaces, &id);

	if (id && space)
		__sync_fetch_and_add(&space->users, users);
}

/* What the parent has allocated until now is the child's as well. */
static __always_inline __u32 copy_space(__u32 parent)
{
	struct live_space *from = bpf_map_lookup_elem(&live_spaces, &parent), *to;
	__u32 id;

	if (!parent || !from)
		return 0;
	id = new_space();
	to = bpf_map_lookup_elem(&live_spaces, &id);
	if (!id || !to)
		return 0;
	to->bytes = from->bytes;
	to->peak_bytes = from->bytes;
	to->parent = parent;
	to->parent_epoch = __sync_fetch_and_add(&from->epoch, 1);
	from->keep = to->parent_epoch + 1;
	return id;
}

static __always_inline __u32 space_of(__u32 pid)
{
	struct alloc_counts *counts = bpf_map_lookup_elem(&alloc_counts, &pid);

	return counts ? counts->space : 0;
}

static __always_inline void follow(__u32 pid, __u64 start_ns, __u32 space)
{
	struct target target = {.start_ns = start_ns};

	if (config.target_mode != TARGET_HOST &&
	    bpf_map_update_elem(&targets, &pid, &target, BPF_ANY))
		count_loss(LOSS_targets_full);
	if (!config.count_mallocs)
		return;
	/* An entry that is still there belongs to an ended process whose sums nobody has read yet.
	 */
	if (!bpf_map_delete_elem(&alloc_counts, &pid))
		count_loss(LOSS_pid_reused);
	if (bpf_map_update_elem(&alloc_counts, &pid, &no_counts, BPF_NOEXIST))
		count_loss(LOSS_counters_full);
	if (space)
		set_space(pid, space);
	if (config.count_by & (COUNT_BY_CLASS | COUNT_GO_BY_CLASS))
		begin_classes(pid);
}

/* Runs in the parent, after the child's memory is set up and before it first runs. */
SEC("raw_tracepoint/sched_process_fork")
int process_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *parent = (struct task_struct *)ctx->args[0];
	struct task_struct *child = (struct task_struct *)ctx->args[1];
	__u32 parent_pid = bpf_get_current_pid_tgid() >> 32;
	__u32 child_pid = BPF_CORE_READ(child, tgid);
	__u32 flags = 0, space = 0;
	struct rec_fork *rec;

	if (!is_target(parent_pid))
		return 0;
	if (child_pid == parent_pid)
		flags = RECF_THREAD;
	else if (BPF_CORE_READ(child, mm) == BPF_CORE_READ(parent, mm))
		flags = RECF_SHARES_VM;
	if (!(flags & RECF_THREAD)) {
		if (BPF_CORE_READ(parent, signal, nr_threads) > 1)
			flags |= RECF_THREADED;
		if (config.track_live)
			space = space_of(parent_pid);
		if (flags & RECF_SHARES_VM)
			use_space(space, 1);
		else
			space = copy_space(space);
		follow(child_pid, start_of(child), space);
		if (config.takes_stacks)
			share_image(parent_pid, child_pid);
	}
	rec = reserve_record(sizeof(*rec));
	if (!rec)
		return 0;
	fill_header(&rec->hdr, REC_FORK, flags);
	rec->child_pid = child_pid;
	rec->child_tid = BPF_CORE_READ(child, pid);
	rec->child_start_ns = start_of(child);
	BPF_CORE_READ_STR_INTO(&rec->comm, child, comm);
	if (flags & RECF_THREAD)
		submit_record(rec);
	else
		submit_record_now(rec);
	return 0;
}

/*
 * Page faults of the process. Of threads that have ended and are not gone yet only the first one's
 * can be read.
 */
static __always_inline __u64 count_faults(struct task_struct *task)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	__u64 faults = BPF_CORE_READ(task, signal, min_flt) + BPF_CORE_READ(task, signal, maj_flt) +
		       BPF_CORE_READ(task, min_flt) + BPF_CORE_READ(task, maj_flt);
	int readable = 1;

	if (leader != task) {
		faults += BPF_CORE_READ(leader, min_flt) + BPF_CORE_READ(leader, maj_flt);
		readable = 2;
	}
	return BPF_CORE_READ(task, signal, nr_threads) > readable ? FAULTS_UNKNOWN : faults;
}

static __always_inline void submit_process(__u32 type, __u32 flags, __s32 status)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct rec_process *rec = reserve_record(sizeof(*rec));

	if (!rec)
		return;
	fill_header(&rec->hdr, type, flags);
	rec->status = status;
	rec->exec_id = type == REC_EXEC ? BPF_CORE_READ(task, self_exec_id) : 0;
	rec->cpu_ns = 0;
	rec->faults = FAULTS_UNKNOWN;
	if (flags & RECF_GROUP_DEAD || type == REC_EXEC)
		rec->faults = count_faults(task);
	if (flags & RECF_GROUP_DEAD)
		rec->cpu_ns = BPF_CORE_READ(task, signal, sum_sched_runtime) +
			      BPF_CORE_READ(task, se.sum_exec_runtime);
	bpf_get_current_comm(rec->comm, sizeof(rec->comm));
	if (flags & RECF_GROUP_DEAD || type == REC_EXEC)
		submit_record_now(rec);
	else
		submit_record(rec);
}

/* What a new program starts with: itself, its interpreter, where it begins, and the vDSO. */
static __always_inline void begin_image(__u32 pid)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)bpf_task_pt_regs(task);
	struct mm_struct *mm = task->mm;

	if (!renew_process(pid) || !mm)
		return;
	add_code(mm->start_code, CODE_IS_NEW);
	add_code(regs->ip, CODE_IS_NEW);
	/* Read as a number: the verifier has a pointer for what it points to. */
	add_code((__u64)BPF_CORE_READ(mm, context.vdso), CODE_IS_NEW | CODE_IS_VDSO);
}

static __always_inline bool comm_matches(void)
{
	char comm[16];

	bpf_get_current_comm(comm, sizeof(comm));
	for (int i = 0; i < 16; i++) {
		if (comm[i] != config.comm[i])
			return false;
		if (!comm[i])
			break;
	}
	return true;
}

SEC("raw_tracepoint/sched_process_exec")
int process_exec(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	/* The thread that called exec has the process's pid by now; this is the one it had before.
	 */
	__u32 old_tid = (__u32)ctx->args[1];

	if (!is_target(pid)) {
		if (config.target_mode != TARGET_COMM || pid == config.own_pid || !comm_matches())
			return 0;
		follow(pid, start_of((struct task_struct *)bpf_get_current_task()), 0);
	}
	if (config.track_live) {
		use_space(space_of(pid), -1);
		set_space(pid, new_space());
	}
	if (config.takes_stacks)
		begin_image(pid);
	submit_process(REC_EXEC, old_tid != pid ? RECF_BY_THREAD : 0, 0);
	return 0;
}

SEC("tracepoint")
int exit_group_enter(struct sys_enter_args *ctx)
{
	if (is_target(bpf_get_current_pid_tgid() >> 32))
		submit_process(REC_EXIT_GROUP, 0, (__s32)ctx->args[0]);
	return 0;
}

SEC("raw_tracepoint/sched_process_exit")
int process_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 pid = pid_tgid >> 32, tid = (__u32)pid_tgid;
	__s32 status;

	if (!is_target(pid))
		return 0;
	bpf_map_delete_elem(&inflight, &tid);
	forget_tail_call(tid);
	if (config.track_live)
		bpf_map_delete_elem(&live_calls, &tid);
	if (config.live_temporary)
		bpf_map_delete_elem(&last_pointers, &tid);
	/* do_exit() has taken this thread off `live` before the tracepoint (kernel/exit.c). */
	if (BPF_CORE_READ(task, signal, live.counter) > 0) {
		submit_process(REC_EXIT, 0, BPF_CORE_READ(task, exit_code));
		return 0;
	}
	if (config.track_live)
		use_space(space_of(pid), -1);
	if (config.takes_stacks)
		forget_image(pid);
	status = BPF_CORE_READ(task, signal, group_exit_code);
	if (!status)
		status = BPF_CORE_READ(task, group_leader, exit_code);
	submit_process(REC_EXIT, RECF_GROUP_DEAD, status);
	bpf_map_delete_elem(&targets, &pid);
	return 0;
}

/*
 * The victim is a pid up to kernel 6.8 and a task from 6.9 on (kernel commit 72ba14deb40a): told
 * apart by value, as no pid is a kernel address.
 */
SEC("raw_tracepoint/mark_victim")
int oom_victim(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	__u32 pid = (__u32)ctx->args[0];
	struct rec_process *rec;

	if (ctx->args[0] > 0xffffffffUL)
		pid = BPF_CORE_READ(task, tgid);
	if (!is_target(pid))
		return 0;
	rec = reserve_record(sizeof(*rec));
	if (!rec)
		return 0;
	__builtin_memset(rec, 0, sizeof(*rec));
	rec->hdr.type = REC_OOM;
	rec->hdr.pid = pid;
	rec->hdr.tid = pid;
	rec->hdr.time_ns = bpf_ktime_get_ns();
	submit_record(rec);
	return 0;
}
