/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BPF_TAIL_H
#define MEMDRIFT_BPF_TAIL_H

#include "common.h"

/*
 * Entry points that reach another one: the program made one call, two probes are hit.
 *
 * By a jump (in glibc reallocarray to realloc, and realloc(NULL) to malloc): the second hit has the
 * same thread, size and stack pointer, and the same return address on top of the stack.
 *
 * By a call (tcmalloc's posix_memalign calls memalign): the second hit has a lower stack pointer,
 * and returns to a place in the allocator that is known.
 *
 * A look-up on every malloc would cost more than counting it, so the functions whose code has such
 * a jump or call (src/probe/handoff.h) leave a note, and others look for one only while their
 * thread may have one. The note of a call stays until a hit shows that the call is over: the next
 * one of the thread that does not come from inside.
 */
struct tail_note {
	__u64 sp;
	__u64 return_address; /* of what jumps */
	__u64 size;   /* that is asked for: a jump hands it on; what is freed: its address */
	__u64 site;   /* address of the function's probe, from which places are told */
	__u32 row;    /* of the function that left it: a call of the same one is a new call */
	__u16 nested; /* as in the cookie; 0: it makes no calls */
	__u8 jumps;
	__u8 open;
};

/*
 * One note a thread, kept until the thread ends. A thread without room has what its entry points
 * reach counted as calls of their own (a named loss).
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct tail_note);
} tail_notes __weak SEC(".maps");

/* Calls from inside of entry points, by where they return to. src/probe/nesting.c fills it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, NESTED_CALLS_MAX);
	__type(key, __u64);
	__type(value, __u8);
} nested_calls __weak SEC(".maps");

/* Open notes by thread, folded: 16 kB instead of a look-up. */
#define TAIL_SLOTS 4096

volatile __u32 tail_notes_open[TAIL_SLOTS] __weak;

static __always_inline volatile __u32 *open_notes(__u32 tid)
{
	return &tail_notes_open[tid & (TAIL_SLOTS - 1)];
}

static __always_inline void close_note(struct tail_note *note, __u32 tid)
{
	note->open = false;
	__sync_fetch_and_add(open_notes(tid), -1);
}

/* The thread ends. */
static __always_inline void forget_tail_call(__u32 tid)
{
	struct tail_note *note = bpf_map_lookup_elem(&tail_notes, &tid);

	if (!note)
		return;
	if (note->open)
		close_note(note, tid);
	bpf_map_delete_elem(&tail_notes, &tid);
}

static __always_inline __u64 entry_sp(struct pt_regs *regs, __u64 cookie)
{
	return regs->sp + COOKIE_SP_DELTA(cookie);
}

/* Calls in which a return probe waits, the innermost first: kernel/events/uprobes.c. */
struct return_instance___tail {
	unsigned long stack;
	unsigned long orig_ret_vaddr;
} __attribute__((preserve_access_index));

struct uprobe_task___tail {
	struct return_instance___tail *return_instances;
} __attribute__((preserve_access_index));

struct task_struct___tail {
	struct uprobe_task___tail *utask;
} __attribute__((preserve_access_index));

/*
 * The return probe of another tracer has put the kernel's own address in the place of the return
 * address; the kernel knows the one that was there.
 */
static __always_inline __u64 read_return_address(__u64 sp)
{
	struct task_struct___tail *task = (void *)bpf_get_current_task();
	struct return_instance___tail *top = BPF_CORE_READ(task, utask, return_instances);
	__u64 address = 0;

	if (top && BPF_CORE_READ(top, stack) == sp)
		return BPF_CORE_READ(top, orig_ret_vaddr);
	bpf_probe_read_user(&address, sizeof(address), (void *)sp);
	return address;
}

/* The thread's note, made when it has none; only the thread itself touches it. */
static __always_inline struct tail_note *own_note(__u32 tid)
{
	struct tail_note *note = bpf_map_lookup_elem(&tail_notes, &tid), empty = {};

	if (note)
		return note;
	if (bpf_map_update_elem(&tail_notes, &tid, &empty, BPF_NOEXIST))
		return NULL;
	return bpf_map_lookup_elem(&tail_notes, &tid);
}

static __always_inline void note_call(struct pt_regs *regs, __u64 cookie, __u64 size, bool jumps)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct tail_note *note = own_note(tid);

	if (!note) {
		count_loss(LOSS_tail_notes_full);
		return;
	}
	note->sp = entry_sp(regs, cookie);
	note->return_address = jumps ? read_return_address(note->sp) : 0;
	note->size = size;
	note->site = regs->ip;
	note->row = COOKIE_ROW(cookie);
	note->nested = COOKIE_NESTED(cookie);
	note->jumps = jumps;
	if (!note->open)
		__sync_fetch_and_add(open_notes(tid), 1);
	note->open = true;
}

/* pvalloc asks on for whole pages, the others for what they were asked for. */
static __always_inline bool is_handed_on(__u64 asked, __u64 size)
{
	return size == asked || (size > asked && size - asked < 4096);
}

static __always_inline bool comes_from_inside(const struct tail_note *note, __u64 sp)
{
	__s64 distance = read_return_address(sp) - note->site;
	__u64 key = NESTED_CALL_KEY(note->nested, distance);

	return distance == (__s32)distance && bpf_map_lookup_elem(&nested_calls, &key);
}

/* OWN_CALL: the program's. The others belong to the call before. */
enum hit { OWN_CALL, JUMPED_TO, CALLED_INSIDE };

/* A note that does not explain this hit has served its time. */
static __always_inline enum hit explain_hit(struct pt_regs *regs, __u64 cookie, __u64 size)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct tail_note *note;
	enum hit hit = OWN_CALL;
	__u64 sp;

	if (!*open_notes(tid))
		return OWN_CALL;
	note = bpf_map_lookup_elem(&tail_notes, &tid);
	if (!note || !note->open)
		return OWN_CALL;
	sp = entry_sp(regs, cookie);
	if (note->nested && sp < note->sp && comes_from_inside(note, sp))
		return CALLED_INSIDE;
	if (note->jumps && note->row != COOKIE_ROW(cookie) && is_handed_on(note->size, size) &&
	    note->sp == sp && note->return_address == read_return_address(sp))
		hit = JUMPED_TO;
	close_note(note, tid);
	return hit;
}

#endif
