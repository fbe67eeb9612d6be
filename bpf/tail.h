/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BPF_TAIL_H
#define MEMDRIFT_BPF_TAIL_H

#include "common.h"

/*
 * Entry points that hand on to another one by a jump (in glibc reallocarray to realloc, and
 * realloc(NULL) to malloc): the program made one call, two probes are hit. The second hit has the
 * same thread, size and stack pointer, and the same return address on top of the stack. A look-up
 * on every malloc would cost more than counting it, so the functions whose code has such a jump
 * (src/probe/handoff.h) leave a note when they are going to take it, and others look for one only
 * while any note is there.
 */
struct tail_note {
	__u64 sp;
	__u64 return_address;
	__u64 size; /* that is asked for: a jump hands it on */
	__u64 row;  /* of the function that left it: a call of the same one is a new call */
};

/* One note a thread. A thread without room has its jump counted as a second call (a named loss). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct tail_note);
} tail_notes __weak SEC(".maps");

volatile __s64 tail_notes_open __weak;

static __always_inline void forget_tail_call(__u32 tid)
{
	if (!bpf_map_delete_elem(&tail_notes, &tid))
		__sync_fetch_and_add(&tail_notes_open, -1);
}

static __always_inline __u64 entry_sp(struct pt_regs *regs, __u64 cookie)
{
	return regs->sp + COOKIE_SP_DELTA(cookie);
}

static __always_inline __u64 read_return_address(__u64 sp)
{
	__u64 address = 0;

	bpf_probe_read_user(&address, sizeof(address), (void *)sp);
	return address;
}

static __always_inline void note_tail_call(struct pt_regs *regs, __u64 cookie, __u64 size)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct tail_note note = {
		.sp = entry_sp(regs, cookie),
		.size = size,
		.row = COOKIE_ROW(cookie),
	};

	note.return_address = read_return_address(note.sp);
	if (!bpf_map_update_elem(&tail_notes, &tid, &note, BPF_NOEXIST))
		__sync_fetch_and_add(&tail_notes_open, 1);
	else if (bpf_map_update_elem(&tail_notes, &tid, &note, BPF_EXIST))
		count_loss(LOSS_tail_notes_full);
}

/* pvalloc asks on for whole pages, the others for what they were asked for. */
static __always_inline bool is_handed_on(__u64 asked, __u64 size)
{
	return size == asked || (size > asked && size - asked < 4096);
}

/* Whether this hit belongs to the call before it. Either way that call's note is used up. */
static __always_inline bool is_tail_call(struct pt_regs *regs, __u64 cookie, __u64 size)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct tail_note *note;
	bool same;

	if (!tail_notes_open)
		return false;
	note = bpf_map_lookup_elem(&tail_notes, &tid);
	if (!note)
		return false;
	same = note->row != COOKIE_ROW(cookie) && is_handed_on(note->size, size) &&
	       note->sp == entry_sp(regs, cookie) &&
	       note->return_address == read_return_address(note->sp);
	forget_tail_call(tid);
	return same;
}

#endif
