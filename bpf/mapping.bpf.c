// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The system calls that change an address space. Removals become records when they start,
 * additions and changes of attributes when they return (see memdrift/record.h).
 */
#include "common.h"
#include "stack.h"
#include "unwind_code.h"

#define PAGE_MASK           0xfffUL
#define PROT_EXEC           4
#define MAP_FIXED           0x10
#define MAP_FIXED_NOREPLACE 0x100000
#define MREMAP_FIXED        2

static __always_inline bool is_error(__s64 result)
{
	return (__u64)result >= (__u64)-4095L;
}

static __always_inline void fill_mapping(struct rec_mapping *rec, const struct inflight *call)
{
	rec->enter_ns = call->enter_ns;
	rec->addr = call->addr;
	rec->len = call->len;
	rec->aux = call->aux;
	rec->aux2 = call->aux2;
	rec->prot = call->prot;
	rec->map_flags = call->map_flags;
	rec->fd = call->fd;
	rec->stack = STACK_NONE;
	rec->result = 0;
}

/* Remembers the call until it returns; makes a record at once when it removes something. */
static __always_inline void enter_call(struct inflight *call, __u32 removal)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 tid = (__u32)pid_tgid;
	struct rec_mapping *rec;

	call->pid = pid_tgid >> 32;
	if (!is_target(call->pid))
		return;
	call->enter_ns = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&inflight, &tid, call, BPF_ANY))
		count_loss(LOSS_inflight_full);
	if (!removal)
		return;
	rec = reserve_record(sizeof(*rec));
	if (!rec)
		return;
	fill_header(&rec->hdr, removal, 0);
	fill_mapping(rec, call);
	submit_record(rec);
}

static __always_inline void submit_reread(__u32 flags)
{
	struct rec_mapping *rec = reserve_record(sizeof(*rec));

	if (!rec)
		return;
	__builtin_memset(rec, 0, sizeof(*rec));
	fill_header(&rec->hdr, REC_REREAD, flags);
	rec->len = ~0UL;
	rec->stack = STACK_NONE;
	submit_record(rec);
}

/*
 * The record of a call that returns. A munmap that succeeded has had its record. A call that is
 * not known began before the trace or found no room: its process is read again.
 */
static __always_inline int exit_call(struct sys_exit_args *ctx)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 tid = (__u32)pid_tgid;
	struct inflight *call = bpf_map_lookup_elem(&inflight, &tid);
	__s64 result = ctx->ret;
	struct rec_mapping *rec;

	if (!call) {
		if (is_target(pid_tgid >> 32))
			submit_reread(RECF_UNPAIRED);
		return 0;
	}
	if (call->type == REC_MUNMAP && !is_error(result))
		goto out;
	if (config.takes_stacks && call->prot & PROT_EXEC && !is_error(result)) {
		if (call->type == REC_MMAP)
			add_code(result, 0);
		else if (call->type == REC_MPROTECT)
			add_code(call->addr, 0);
	}
	rec = reserve_record(sizeof(*rec));
	if (!rec)
		goto out;
	fill_header(&rec->hdr, call->type, is_error(result) ? RECF_FAILED : 0);
	fill_mapping(rec, call);
	rec->result = result;
	if ((call->type == REC_MMAP || call->type == REC_MREMAP) && !is_error(result) &&
	    (call->type == REC_MMAP ? call->len : call->aux) >= config.stack_min_len)
		rec->stack = TAKEN_ID(take_stack_of_syscall());
	/* Code that was mapped from a file may be an allocator: the reader wants to know at once.
	 */
	if (call->type == REC_MMAP && call->fd >= 0 && call->prot & 4)
		submit_record_now(rec);
	else
		submit_record(rec);
out:
	bpf_map_delete_elem(&inflight, &tid);
	return 0;
}

SEC("tracepoint")
int mmap_enter(struct sys_enter_args *ctx)
{
	__u32 map_flags = ctx->args[3];
	struct inflight call = {
		.type = REC_MMAP,
		.addr = ctx->args[0],
		.len = ctx->args[1],
		.prot = ctx->args[2],
		.map_flags = map_flags,
		.fd = map_flags & 0x20 /* MAP_ANONYMOUS */ ? -1 : (__s32)ctx->args[4],
		.aux = ctx->args[5],
	};
	bool covers = (map_flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == MAP_FIXED;

	enter_call(&call, covers ? REC_MMAP_FIXED : 0);
	return 0;
}

SEC("tracepoint")
int munmap_enter(struct sys_enter_args *ctx)
{
	struct inflight call = {
		.type = REC_MUNMAP,
		.addr = ctx->args[0],
		.len = ctx->args[1],
		.fd = -1,
	};

	enter_call(&call, REC_MUNMAP);
	return 0;
}

SEC("tracepoint")
int mremap_enter(struct sys_enter_args *ctx)
{
	struct inflight call = {
		.type = REC_MREMAP,
		.addr = ctx->args[0],
		.len = ctx->args[1],
		.aux = ctx->args[2],
		.prot = ctx->args[3],
		.aux2 = ctx->args[3] & MREMAP_FIXED ? ctx->args[4] : 0,
		.fd = -1,
	};

	enter_call(&call, REC_MREMAP_ENTER);
	return 0;
}

SEC("tracepoint")
int brk_enter(struct sys_enter_args *ctx)
{
	struct inflight call = {.type = REC_BRK, .addr = ctx->args[0], .fd = -1};

	enter_call(&call, 0);
	return 0;
}

/* mprotect and pkey_mprotect: the same first three arguments. */
SEC("tracepoint")
int mprotect_enter(struct sys_enter_args *ctx)
{
	struct inflight call = {
		.type = REC_MPROTECT,
		.addr = ctx->args[0],
		.len = ctx->args[1],
		.prot = ctx->args[2],
		.fd = -1,
	};

	enter_call(&call, 0);
	return 0;
}

SEC("tracepoint")
int madvise_enter(struct sys_enter_args *ctx)
{
	struct inflight call = {
		.type = REC_MADVISE,
		.addr = ctx->args[0],
		.len = ctx->args[1],
		.prot = ctx->args[2],
		.fd = -1,
	};

	enter_call(&call, 0);
	return 0;
}

SEC("tracepoint")
int mapping_exit(struct sys_exit_args *ctx)
{
	return exit_call(ctx);
}

/* shmat, shmdt, io_setup, io_destroy, remap_file_pages, map_shadow_stack: rare; read again. */
SEC("tracepoint")
int other_mapping_exit(struct sys_exit_args *ctx)
{
	if (is_target(bpf_get_current_pid_tgid() >> 32) && !is_error(ctx->ret))
		submit_reread(0);
	return 0;
}
